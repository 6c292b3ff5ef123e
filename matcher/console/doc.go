// Package console is the web console, and what it computes for people: what a pasted input would do, what is armed, and what cannot
// be seen here.
package console
