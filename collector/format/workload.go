package format

import "strings"

// WorkloadOfPod tells the Deployment of a pod by the pod's name: <deployment>-<template hash>-<suffix>. Both parts are
// written with letters that no word has, so this is as good as sure; other workloads cannot be told by name.
func WorkloadOfPod(pod string) (kind, name string, ok bool) {
	i := strings.LastIndexByte(pod, '-')
	if i <= 0 || len(pod)-i-1 != 5 || !generated(pod[i+1:]) {
		return "", "", false
	}
	return WorkloadOfReplicaSet(pod[:i])
}

// WorkloadOfReplicaSet tells the Deployment of a ReplicaSet by its name: <deployment>-<template hash>.
func WorkloadOfReplicaSet(set string) (kind, name string, ok bool) {
	i := strings.LastIndexByte(set, '-')
	if n := len(set) - i - 1; i <= 0 || n < 6 || n > 10 || !generated(set[i+1:]) {
		return "", "", false
	}
	return "Deployment", set[:i], true
}

// TopOwner tells the top of the owner chain by the name of the owner that controls a pod, and by the pod's label pod-template-hash if it has one. It is
// exact but for Jobs and for ReplicaSets that are not a Deployment's. A pod that its node owns has no workload.
func TopOwner(kind, name, hash string) (topKind, topName string) {
	switch kind {
	case "Node":
		return "", ""
	case "ReplicaSet":
		if top, ok := strings.CutSuffix(name, "-"+hash); ok && hash != "" {
			return "Deployment", top
		}
		if top, owner, ok := WorkloadOfReplicaSet(name); ok {
			return top, owner
		}
	case "Job":
		return workloadOfJob(name)
	}
	return kind, name
}

// generated reports whether s has only the letters and digits of names that Kubernetes makes up: no vowels, nor digits that
// look like them.
func generated(s string) bool { return strings.Trim(s, "bcdfghjklmnpqrstvwxz2456789") == "" }
