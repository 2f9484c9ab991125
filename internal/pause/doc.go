// Package pause waits a moment without leaving the core: for loops that look again and again at what another
// core is about to write.
//
//	for !come() {
//		pause.For(1)
//	}
//
// A pause lets the other hardware thread of the core have its units meanwhile, and ends a loop without
// guessing wrong what it reads last. It is between 10 and 100 ns, as the processor has it. Where the compiler
// has no such instruction it is nothing.
//
// It stands apart from internal/fabric because a package with C can not have Go's assembly.
package pause
