package figure

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"

	"github.com/sublet-hpc/sublet/bench/record"
	"github.com/sublet-hpc/sublet/bench/stats"
)

// Input is a run and what its lines are called.
type Input struct {
	Label string
	Run   *record.Run
}

// curve is one line: a contestant's latency by size.
type curve struct {
	label    string
	p50, p99 plotter.XYs
}

// ErrNothing says that there is nothing to draw.
var ErrNothing = errors.New("there is no latency of payloads above 0 bytes in what was given")

// Latency draws latency over payload size: medians as lines, the 99th percentiles dashed, for the sizes
// that have enough samples for one.
func Latency(title string, inputs []Input) (*Drawing, error) {
	curves := curvesOf(inputs)
	if len(curves) == 0 {
		return nil, ErrNothing
	}
	d := newDrawing(title)
	p := d.plot
	p.X.Label.Text, p.Y.Label.Text = "payload, there and back", "round trip"
	p.X.Scale, p.Y.Scale = plot.LogScale{}, plot.LogScale{}
	p.X.Tick.Marker, p.Y.Tick.Marker = sizeTicks{}, timeTicks{}
	tails := false
	for i, c := range curves {
		if err := d.add(c, look(i)); err != nil {
			return nil, err
		}
		tails = tails || len(c.p99) > 0
	}
	d.explain("median", nil)
	if tails {
		d.explain("99th percentile", dashes)
	}
	// A logarithmic axis needs some room, also where there is one size only.
	p.X.Min, p.X.Max = p.X.Min/1.3, p.X.Max*1.3
	p.Y.Min, p.Y.Max = p.Y.Min/1.5, p.Y.Max*1.5
	return d, nil
}

func (d *Drawing) add(c *curve, look style) error {
	line, points, err := plotter.NewLinePoints(c.p50)
	if err != nil {
		return err
	}
	line.Color, line.Width = look.color, vg.Points(1.2)
	points.Color, points.Shape, points.Radius = look.color, look.shape, vg.Points(2.2)
	if len(c.p99) > 0 {
		tail, err := plotter.NewLine(c.p99)
		if err != nil {
			return err
		}
		tail.Color, tail.Width, tail.Dashes = look.color, vg.Points(0.7), dashes
		d.plot.Add(tail)
	}
	d.plot.Add(line, points)
	d.legend.Add(c.label, line, points)
	return nil
}

// HasLatency tells whether there is something to draw in a run.
func HasLatency(run *record.Run) bool { return slices.ContainsFunc(run.Series, drawn) }

// drawn tells whether a series is: others have no place on the axes.
func drawn(s *record.Series) bool {
	return s.Kind == record.Latency && s.Bytes > 0 && s.Against == 0
}

func curvesOf(inputs []Input) []*curve {
	var curves []*curve
	byLabel := map[string]*curve{}
	for _, input := range inputs {
		for _, s := range input.Run.Series {
			if !drawn(s) {
				continue
			}
			label := labelOf(s)
			if len(inputs) > 1 {
				label = input.Label + ": " + label
			}
			c := byLabel[label]
			if c == nil {
				c = &curve{label: label}
				byLabel[label] = c
				curves = append(curves, c)
			}
			sum := stats.Summarize(s.Samples())
			c.p50 = append(c.p50, plotter.XY{X: float64(s.Bytes), Y: math.Max(float64(sum.P50), 1)})
			if sum.P99 != nil {
				c.p99 = append(c.p99, plotter.XY{X: float64(s.Bytes), Y: math.Max(float64(*sum.P99), 1)})
			}
		}
	}
	for _, c := range curves {
		for _, line := range []plotter.XYs{c.p50, c.p99} {
			slices.SortFunc(line, func(a, b plotter.XY) int { return int(a.X - b.X) })
		}
	}
	return curves
}

func labelOf(s *record.Series) string {
	label := s.Name
	if s.Transport != s.Name {
		label += ", " + s.Transport
	}
	switch {
	case s.Provider == "" || s.Provider == s.Transport || s.Provider == "memfd": // the ring has no other
	case s.Transport == s.Name:
		label += ", " + s.Provider
	default:
		label += " (" + s.Provider + ")"
	}
	if s.Mode != "hot" {
		label += ", " + s.Mode
	}
	if s.InFlight > 1 {
		label += fmt.Sprintf(", %d in flight", s.InFlight)
	}
	if !s.Touched {
		label += ", untouched"
	}
	return label
}
