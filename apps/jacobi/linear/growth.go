package linear

import "math"

// Growth watches the residuals of an iteration and notices when it will never converge.
//
// The residual of each iteration is the one before times the iteration matrix, so in the long run
// it changes by that matrix's spectral radius per iteration. How long it takes until that shows is
// not known; it has when two stretches of equal length have grown by about the same factor.
type Growth struct{ logs []float64 }

const (
	leastStretch = 8    // iterations
	enough       = 10.0 // times that the residual must have become larger
	agreement    = 0.25 // part that the two growths may differ by
)

// Diverges takes the residual of the next iteration. When it is clear that they grow for ever it
// returns the estimated spectral radius.
func (g *Growth) Diverges(residual float64) (radius float64, diverges bool) {
	g.logs = append(g.logs, math.Log(residual))
	last := len(g.logs) - 1
	// The first third is for what dies out. An even length does justice to residuals that take
	// turns, as eigenvalues of opposite signs make them.
	stretch := last / 3 &^ 1
	if stretch < leastStretch || math.IsInf(residual, 1) {
		return 0, false
	}
	later := g.logs[last] - g.logs[last-stretch]
	earlier := g.logs[last-stretch] - g.logs[last-2*stretch]
	// Residuals that have come down to rounding errors go up and down as well, far below the first.
	total := min(earlier+later, g.logs[last]-g.logs[0])
	if !(earlier > 0 && later > 0 && total > math.Log(enough)) {
		return 0, false
	}
	if math.Abs(later-earlier) > agreement*math.Max(later, earlier) {
		return 0, false
	}
	return math.Exp(later / float64(stretch)), true
}
