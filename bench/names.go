package bench

// Names of candidates.
const (
	engineName    = "forewarn"
	naiveName     = "naive"
	newlinesName  = "newlines"
	hyperscanName = "hyperscan"
	re2Name       = "re2"
	grepFName     = "grep -F"
	grepEName     = "grep -E"
	ripgrepName   = "ripgrep"
	preqName      = "preq"

	selfName = "self" // in floors: the engine with the first of the counts
)
