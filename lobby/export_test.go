package lobby

// Remembered returns how many addresses f remembers.
func Remembered(f *Failures) int { return len(f.byAddr) }
