package kube

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"syscall"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// advise adds what to do to the errors that a person can do something about.
func advise(err error) error {
	var authority x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	var name *net.DNSError
	hint := ""
	switch {
	case apierrors.IsUnauthorized(err):
		hint = "the server does not know who we are: renew the kubeconfig's credentials, or check that the service account exists"
	case apierrors.IsForbidden(err):
		hint = "grant it: the shipped ClusterRole has what each collector needs"
	case errors.As(err, &authority):
		hint = "the server's certificate is of an authority that is not known here: set certificate-authority-data in the kubeconfig"
	case errors.As(err, &host):
		hint = "the server's certificate is for another name: use that name as the server in the kubeconfig, or set tls-server-name"
	case errors.As(err, &invalid):
		hint = "the server's certificate is not valid now: renew it, and check both clocks"
	case errors.As(err, &name):
		hint = "the server's name is not known: check it, and the DNS of this machine"
	case errors.Is(err, syscall.ECONNREFUSED):
		hint = "nothing listens there: check the address, and that the API server runs"
	default:
		return err
	}
	return fmt.Errorf("%w: %s", err, hint)
}
