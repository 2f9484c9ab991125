package launcher

// KindHarvest is that of jobs that a harvester keeps on idle nodes.
const KindHarvest = "harvest"

// CheckOptions refuses what is no option of sbatch, or the value of one.
func CheckOptions(words []string) error { return checkOptions(words) }
