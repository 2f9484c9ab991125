//go:build amd64 || arm64

package pause

// For makes so many pauses, at least one.
//
//go:noescape
func For(pauses uint32)
