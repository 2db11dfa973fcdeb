package server

import "strings"

// clean splits the query off a path and drops leading, trailing and doubled
// slashes: "/room//blue/?a=b" is "room/blue" and "a=b".
func clean(path string) (name, query string) {
	name, query, _ = strings.Cut(path, "?")
	parts := strings.Split(name, "/")
	kept := parts[:0]
	for _, p := range parts {
		if p != "" {
			kept = append(kept, p)
		}
	}
	return strings.Join(kept, "/"), query
}

// under reports whether the clean path is prefix or lies below it, and what
// follows it. Everything lies below "".
func under(path, prefix string) (rest string, ok bool) {
	if prefix == "" {
		return path, true
	}
	rest, ok = strings.CutPrefix(path, prefix)
	if !ok || rest != "" && rest[0] != '/' {
		return "", false
	}
	return strings.TrimPrefix(rest, "/"), true
}

// resolve finds the application of a clean path, the longest mounted path that
// matches, and the short name of the instance. The caller holds h.mu.
func (h *Host) resolveLocked(path string) (a *application, short string) {
	longest := -1
	try := func(mount string) {
		below, ok := under(path, mount)
		if !ok {
			return
		}
		for name, candidate := range h.apps {
			rest, ok := under(below, name)
			if matched := len(path) - len(rest); ok && matched > longest {
				a, short, longest = candidate, rest, matched
			}
		}
	}
	try("")
	for _, mount := range h.Mounts {
		m, _ := clean(mount)
		try(m)
	}
	if a != nil && short == "" {
		short = defaultInstance
	}
	return a, short
}
