package console

import (
	"net/http"
	"net/url"
	"strings"
)

// turnAway answers somebody who is not signed in: programs with 401, people with the form, or with what the proxy should have done.
func (k *Console) turnAway(w http.ResponseWriter, r *http.Request) {
	page := strings.Contains(r.Header.Get("Accept"), "text/html")
	if k.c.Options.Auth.TokenFile != "" && page && r.Method == http.MethodGet {
		to := k.base + "/sign-in"
		if r.URL.Path != "/" || r.URL.RawQuery != "" {
			to += "?to=" + url.QueryEscape(r.URL.RequestURI())
		}
		http.Redirect(w, r, to, http.StatusSeeOther)
		return
	}
	w.Header().Set("WWW-Authenticate", `Bearer realm="forewarn"`)
	k.fail(w, r, problem{http.StatusUnauthorized, "You are not signed in.", "Open the console through the proxy that signs people in, or send the token as a bearer token."})
}

// signInView is what the form shows.
type signInView struct {
	Wrong bool
	To    string
}

func (k *Console) showSignIn(w http.ResponseWriter, r *http.Request) {
	if k.c.Options.Auth.TokenFile == "" {
		http.Redirect(w, r, k.base+"/", http.StatusSeeOther)
		return
	}
	k.render(w, r, k.signIn, http.StatusOK, content{title: "Sign in", data: signInView{To: inside(r.URL.Query().Get("to"))}})
}

func (k *Console) doSignIn(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 8<<10)
	to := inside(r.PostFormValue("to"))
	switch token, err := k.keeper.secret(); {
	case err != nil:
		k.fail(w, r, problem{http.StatusNotFound, "Nobody signs in with a token here.", ""})
	case !k.formHolds(r):
		k.fail(w, r, errStaleForm)
	case !k.keeper.try(strings.TrimSpace(r.PostFormValue("token"))):
		k.c.Log.Warn("somebody tried a wrong token at the console", "from", r.RemoteAddr)
		k.render(w, r, k.signIn, http.StatusUnauthorized, content{title: "Sign in", data: signInView{Wrong: true, To: to}})
	default:
		http.SetCookie(w, k.cookie("session", k.keeper.newSession(token), int(sessionFor.Seconds())))
		http.Redirect(w, r, k.base+to, http.StatusSeeOther)
	}
}

func (k *Console) doSignOut(w http.ResponseWriter, r *http.Request) {
	if !k.formHolds(r) {
		k.fail(w, r, errStaleForm)
		return
	}
	http.SetCookie(w, k.cookie("session", "", -1))
	http.Redirect(w, r, k.base+"/sign-in", http.StatusSeeOther)
}

// inside returns a path of the console itself, whatever somebody wrote into a link.
func inside(to string) string {
	u, err := url.Parse(to)
	if err != nil || u.IsAbs() || u.Host != "" || !strings.HasPrefix(to, "/") || !strings.HasPrefix(u.Path, "/") || strings.HasPrefix(u.Path, "//") || strings.ContainsAny(to, "\\\r\n\t") {
		return "/"
	}
	return u.RequestURI()
}
