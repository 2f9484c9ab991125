package portfolio_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/sublet-hpc/sublet/apps/blackscholes/portfolio"
)

func Example() {
	dir, err := os.MkdirTemp("", "portfolio")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "in.txt")
	if err := portfolio.WriteGenerated(path, portfolio.Generated{Count: 100, Seed: 1}, nil); err != nil {
		fmt.Println(err)
		return
	}

	file, err := portfolio.Open(path, portfolio.WithReference)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer file.Close()
	reader, err := portfolio.NewReader[float32](file, 0, 1)
	if err != nil {
		fmt.Println(err)
		return
	}
	blocks, reference := make([]portfolio.Block[float32], 4), make([]float32, 4*portfolio.Lanes)
	for {
		n, err := reader.Read(blocks, reference)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(n, "options, the first for", blocks[0].Strike[0], "costs about", reference[0])
	}
	// Output:
	// 64 options, the first for 48.31 costs about 7.0312214
	// 36 options, the first for 68.32 costs about 9.182544
}

func ExampleAppendPrices() {
	text := portfolio.AppendCount(nil, 2)
	text = portfolio.AppendPrices(text, []float32{4.759423, 0.1})
	fmt.Print(string(text))
	// Output:
	// 2
	// 4.759422779083251953
	// 0.100000001490116119
}
