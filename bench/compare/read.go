package compare

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sluice/bench/report"
)

// maxRuns bounds one set. The test is exact, and its cost grows with the cube.
const maxRuns = 100

// Read returns the runs that list names: files and folders with commas between. Of
// a folder it takes every .json in it, by name.
func Read(list string) ([]File, error) {
	var paths []string
	for path := range strings.SplitSeq(list, ",") {
		info, err := os.Stat(path)
		switch {
		case path == "":
			return nil, fmt.Errorf("%q: a name is empty; want FILE[,FILE…] or a folder", list)
		case err != nil:
			return nil, err // says the path
		case !info.IsDir():
			paths = append(paths, path)
			continue
		}
		in, err := filepath.Glob(filepath.Join(escape(path), "*.json"))
		if err != nil {
			return nil, err
		}
		if len(in) == 0 {
			return nil, fmt.Errorf("%s: no .json in this folder", path)
		}
		slices.Sort(in)
		paths = append(paths, in...)
	}
	if len(paths) > maxRuns {
		return nil, fmt.Errorf("%d runs: at most %d can be compared", len(paths), maxRuns)
	}
	seen := map[string]bool{}
	var files []File
	var errs []error
	for _, path := range paths {
		if clean := filepath.Clean(path); seen[clean] {
			errs = append(errs, fmt.Errorf("%s: named twice; the same run twice makes nothing surer", path))
			continue
		} else {
			seen[clean] = true
		}
		run, err := report.ReadFile(path)
		errs = append(errs, err)
		files = append(files, File{path, run})
	}
	return files, errors.Join(errs...)
}

// escape keeps the characters of a folder's name from being a pattern.
func escape(path string) string {
	return strings.NewReplacer(`\`, `\\`, `[`, `\[`, `*`, `\*`, `?`, `\?`).Replace(path)
}
