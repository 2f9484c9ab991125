package linear

// Divide divides n items of equal weight among parts: contiguous, in order, and no part gets more
// than one item more than another. Of the parts+1 boundaries the first is 0 and the last n.
func Divide(n, parts int) []int {
	bounds := make([]int, parts+1)
	small, larger := n/parts, n%parts
	for p := range parts {
		bounds[p+1] = (p+1)*small + min(p+1, larger)
	}
	return bounds
}
