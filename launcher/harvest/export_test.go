package harvest

// Prefix begins the names of the jobs.
func (n Names) Prefix() string { return n.prefix }
