package offload_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/sublet-hpc/sublet/offload"
)

// A program sends half of its numbers to an executor and squares the other half itself.
func Example() {
	ctx := context.Background()
	session, err := offload.Connect(ctx)
	if err != nil {
		panic(err)
	}
	defer session.Close()
	lease, err := session.Lease(ctx, offload.Want{Executors: 1, Library: library, Oversubscribe: true})
	if err != nil {
		panic(err)
	}

	in, out := offload.Alloc[float64](session, 6), offload.Alloc[float64](session, 6)
	for i := range in.Slice() {
		in.Slice()[i] = float64(i)
	}
	future := lease.Invoke(ctx, "square", in.Sub(3, 6), out.Sub(3, 6)) // returns at once
	for i, v := range in.Slice()[:3] {
		out.Slice()[i] = v * v
	}
	if _, err := future.Wait(ctx); err != nil {
		panic(err)
	}
	fmt.Println(out.Slice())
	// Output: [0 1 4 9 16 25]
}

// Split sends the parts, computes the local items meanwhile, and redoes what was lost.
func ExampleSplit() {
	ctx := context.Background()
	session, err := offload.Connect(ctx)
	if err != nil {
		panic(err)
	}
	defer session.Close()
	lease, err := session.Lease(ctx, offload.Want{Executors: 2, Library: library, Oversubscribe: true})
	if err != nil {
		panic(err)
	}

	const n = 10
	in, out := offload.Alloc[float64](session, n), offload.Alloc[float64](session, n)
	for i := range in.Slice() {
		in.Slice()[i] = float64(i)
	}
	split, err := session.Split(ctx, offload.Plan{Items: n, Share: 0.5, Lease: lease})
	if err != nil {
		panic(err)
	}
	err = split.Step(ctx, offload.Work{
		Remote: func(ctx context.Context, part offload.Part) offload.Future {
			return part.Executor.Invoke(ctx, "square", in.Sub(part.Lo, part.Hi), out.Sub(part.Lo, part.Hi))
		},
		Local: func(lo, hi int) error {
			for i := lo; i < hi; i++ {
				out.Slice()[i] = in.Slice()[i] * in.Slice()[i]
			}
			return nil
		},
	})
	fmt.Println(out.Slice(), err)
	// Output: [0 1 4 9 16 25 36 49 64 81] <nil>
}

// A constant is sent to an executor once; invocations name it.
func ExampleSession_Constant() {
	ctx := context.Background()
	session, err := offload.Connect(ctx)
	if err != nil {
		panic(err)
	}
	defer session.Close()
	lease, err := session.Lease(ctx, offload.Want{Executors: 1, Library: library, Oversubscribe: true})
	if err != nil {
		panic(err)
	}

	hundreds, err := session.Constant(offload.Bytes([]float64{100, 200, 300}))
	if err != nil {
		panic(err)
	}
	x := offload.Alloc[float64](session, 3)
	copy(x.Slice(), []float64{1, 2, 3})
	if _, err := lease.Invoke(ctx, "add", x, x, hundreds).Wait(ctx); err != nil {
		panic(err)
	}
	fmt.Println(x.Slice())
	// Output: [101 202 303]
}

// A function can fail without harm to its executor.
func ExampleFunctionError() {
	ctx := context.Background()
	session, err := offload.Connect(ctx)
	if err != nil {
		panic(err)
	}
	defer session.Close()
	lease, err := session.Lease(ctx, offload.Want{Executors: 1, Library: library, Oversubscribe: true})
	if err != nil {
		panic(err)
	}

	_, err = lease.Invoke(ctx, "fail", nil, nil).Wait(ctx)
	var failed *offload.FunctionError
	if errors.As(err, &failed) {
		fmt.Println(failed.Function, failed.Code, failed.Text)
	}
	// Output: fail 9 as you wished
}
