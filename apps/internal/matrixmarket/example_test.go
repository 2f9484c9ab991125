package matrixmarket_test

import (
	"fmt"
	"os"
	"strings"

	"github.com/sublet-hpc/sublet/apps/internal/matrixmarket"
)

func Example() {
	const file = `%%MatrixMarket matrix coordinate real symmetric
% the lower triangle of a beam's stiffness
3 3 5
1 1  2
2 1 -1
2 2  2
3 2 -1
3 3  2
`
	matrix, err := matrixmarket.Read(strings.NewReader(file), "beam.mtx")
	if err != nil {
		fmt.Println(err)
		return
	}
	y := make([]float64, 3)
	matrix.MulVec(y, []float64{1, 2, 4})
	fmt.Println(y)
	// Output: [0 -1 6]
}

func ExampleRead_malformed() {
	_, err := matrixmarket.Read(strings.NewReader("%%MatrixMarket matrix array real general\n2 1\n0.5\nhalf\n"), "b.mtx")
	fmt.Println(err)
	// Output: b.mtx:4: value "half": a finite decimal number is expected
}

func ExampleWriteVector() {
	if err := matrixmarket.WriteVector(os.Stdout, []float64{1, 0.1, -2e-300}); err != nil {
		fmt.Println(err)
	}
	// Output:
	// %%MatrixMarket matrix array real general
	// 3 1
	// 1
	// 0.1
	// -2e-300
}
