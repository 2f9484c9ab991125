package slurm

// For tests of what sbatch takes.
var (
	LongWithValue, LongAlone                 = longWithValue, longAlone
	ShortWithValue, ShortAlone, ShortMayTake = shortWithValue, shortAlone, shortMayTake
)
