package pricing

/*
#cgo CFLAGS: -std=c11 -O3
#cgo LDFLAGS: -lm
#include "pricing.h"

static void price_single(size_t variant, const void *blocks, float *prices, size_t count) {
    pricing_variant(variant)->single(blocks, prices, count);
}
static void price_double(size_t variant, const void *blocks, double *prices, size_t count) {
    pricing_variant(variant)->dbl(blocks, prices, count);
}
static const char *variant_name(size_t variant) {
    const struct pricing_variant *found = pricing_variant(variant);
    return found ? found->name : NULL;
}
*/
import "C"

import (
	"errors"
	"fmt"
	"unsafe"

	"github.com/sublet-hpc/sublet/apps/blackscholes/portfolio"
)

// Kernel is a way to price options.
type Kernel string

// Kernels.
const (
	Vector Kernel = "vector"
	Parsec Kernel = "parsec" // in single precision only
	Go     Kernel = "go"     // not on executors
)

// ErrNoDouble is that PARSEC's arithmetic was asked for in double precision.
var ErrNoDouble = errors.New("PARSEC's arithmetic is that of single precision")

// Func prices blocks of options. There must be a price for each, portfolio.Lanes times as many as blocks.
type Func[T portfolio.Float] func(blocks []portfolio.Block[T], prices []T)

// Of returns the kernel in a precision.
func Of[T portfolio.Float](kernel Kernel) (Func[T], error) {
	switch kernel {
	case Vector:
		return func(blocks []portfolio.Block[T], prices []T) { price(0, blocks, prices) }, nil
	case Parsec:
		if isDouble[T]() {
			return nil, ErrNoDouble
		}
		return priceParsec[T], nil
	case Go:
		return priceGo[T], nil
	}
	return nil, fmt.Errorf("there is no kernel %q; there are %s, %s and %s", kernel, Vector, Parsec, Go)
}

// FunctionName is the name of the kernel's function in the function library; "" for Go, which has none.
func FunctionName[T portfolio.Float](kernel Kernel) string {
	switch {
	case kernel == Parsec:
		return "blackscholes_parsec"
	case kernel == Go:
		return ""
	case isDouble[T]():
		return "blackscholes_double"
	}
	return "blackscholes_single"
}

// Instructions names what Vector uses on this CPU: avx512, avx2, or baseline.
func Instructions() string { return variants()[0] }

// variants are the names of Vector's variants that this CPU can run, the fastest first.
func variants() (names []string) {
	for i := 0; ; i++ {
		name := C.variant_name(C.size_t(i))
		if name == nil {
			return names
		}
		names = append(names, C.GoString(name))
	}
}

// price prices by a variant.
func price[T portfolio.Float](variant int, blocks []portfolio.Block[T], prices []T) {
	if len(blocks) == 0 {
		return
	}
	prices = prices[:len(blocks)*portfolio.Lanes]
	from, to := unsafe.Pointer(&blocks[0]), unsafe.Pointer(&prices[0])
	if isDouble[T]() {
		C.price_double(C.size_t(variant), from, (*C.double)(to), C.size_t(len(blocks)))
	} else {
		C.price_single(C.size_t(variant), from, (*C.float)(to), C.size_t(len(blocks)))
	}
}

func priceParsec[T portfolio.Float](blocks []portfolio.Block[T], prices []T) {
	if len(blocks) == 0 {
		return
	}
	prices = prices[:len(blocks)*portfolio.Lanes]
	C.pricing_parsec((*C.struct_block_single)(unsafe.Pointer(&blocks[0])), (*C.float)(unsafe.Pointer(&prices[0])), C.size_t(len(blocks)))
}

func isDouble[T portfolio.Float]() bool { return unsafe.Sizeof(T(0)) == 8 }
