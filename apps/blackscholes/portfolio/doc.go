// Package portfolio holds options in memory, in blocks that a kernel prices as vectors, and reads,
// writes and generates files of them: PARSEC's text format, and a binary form. It is pure Go.
//
// docs/blackscholes-format.md describes the formats, what is accepted and what is refused.
//
// # Reading
//
//	file, err := portfolio.Open("in.txt", portfolio.WithReference) // text or binary: its first bytes tell
//	reader, err := portfolio.NewReader[float32](file, 0, 1)
//	blocks, reference := make([]portfolio.Block[float32], 4096), make([]float32, 4096*portfolio.Lanes)
//	for {
//		n, err := reader.Read(blocks, reference) // n options; io.EOF when there are no more
//	}
//
// A reader's memory does not grow with the file; blocks are the caller's, for example of an offload.Buffer.
// Read allocates nothing.
//
// # Several goroutines, or ranks
//
// Each opens the file, or shares the File, and reads parts of it. Parts are about equal in bytes and end
// where lines do; how many options are in one is known when it was read. Ranks that stream a large file
// in the order of its options take turns:
//
//	parts := file.Parts(64 << 20)                       // the same on all ranks
//	for first := 0; first < parts; first += ranks {
//		// rank reads part first+rank, if there is one, and prices its options
//		text = portfolio.AppendPrices(text[:0], prices)
//		// an exclusive scan of len(text) over the ranks, and the sum of all before, say where it goes
//		out.WriteAt(text, offset)
//	}
//
// In the end the sum of all readers' tallies tells whether the file is whole ([File.Verify]). A single
// reader of all does that by itself.
//
// # Writing
//
// An [Output] has a temporary name until [Output.Commit]: there never is half a file under the name that
// was asked for. One rank creates it and sends the others its temporary name, by which they join. When
// all have written, and closed without an error, the first commits it. A signal that ends its process removes it.
//
// [AppendPrices] is PARSEC's output, [BinaryOptions] and [BinaryPrices] write the binary form, whose
// checksums are sums over the parts, in any order.
//
// # Generating
//
// [Generate] fills blocks with options that depend on a seed and their number alone, with their reference
// prices; [AppendGenerated] has the same as text, and [WriteGenerated] writes a file of them.
//
// # Progress
//
// [File.Read] with [File.Size], and [Output.Written], are counters that a bar may look at, at any time.
//
// # Errors
//
// What is wrong with a file is a [*SyntaxError] that names the file and the line, or the option of a binary
// file. The line is right in parts as well: it is counted when there is an error.
package portfolio
