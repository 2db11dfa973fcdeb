package web

import (
	"bytes"
	"embed"
	"html/template"
	"io/fs"
	"net/http"
	"os"
	"path"
	"strings"
	"time"
)

//go:embed assets
var embedded embed.FS

// assets are the files of web/assets: templates (*.html), and the files that pages load.
type assets struct {
	files  fs.FS
	cached map[string]asset // of embedded files; nil for a directory, whose files are read for each request
	pages  map[string]*template.Template
}

// An asset is a file that pages load.
type asset struct {
	body []byte
	kind string
	etag string
}

// contentTypes are named here because the tables of machines differ, for .js above all.
var contentTypes = map[string]string{
	".css":  "text/css; charset=utf-8",
	".ico":  "image/x-icon",
	".js":   "text/javascript; charset=utf-8",
	".json": "application/json",
	".png":  "image/png",
	".svg":  "image/svg+xml",
}

// newAssets takes the files from dir, or the embedded ones when dir is "".
func newAssets(dir string) *assets {
	if dir != "" {
		return &assets{files: os.DirFS(dir)}
	}
	files, err := fs.Sub(embedded, "assets")
	if err != nil {
		panic(err)
	}
	a := &assets{files: files, cached: make(map[string]asset), pages: make(map[string]*template.Template)}
	names, err := fs.Glob(files, "*")
	if err != nil {
		panic(err)
	}
	for _, name := range names {
		if path.Ext(name) == ".html" {
			a.pages[name] = template.Must(template.ParseFS(files, name))
		} else if f, err := a.read(name); err == nil {
			a.cached[name] = f
		}
	}
	return a
}

func (a *assets) read(name string) (asset, error) {
	kind, ok := contentTypes[path.Ext(name)]
	if !ok || !fs.ValidPath(name) {
		return asset{}, fs.ErrNotExist
	}
	body, err := fs.ReadFile(a.files, name)
	if err != nil {
		return asset{}, err
	}
	return asset{body, kind, etag(body)}, nil
}

func (a *assets) asset(name string) (f asset, ok bool) {
	if a.cached != nil {
		f, ok = a.cached[name]
		return f, ok
	}
	f, err := a.read(name)
	return f, err == nil
}

func (a *assets) page(name string) (*template.Template, error) {
	if t := a.pages[name]; t != nil {
		return t, nil
	}
	return template.ParseFS(a.files, name)
}

// serve answers /assets/NAME. The name of a file stays when its content changes, so a
// browser keeps its copy and asks whether it is still current.
func (a *assets) serve(w http.ResponseWriter, r *http.Request) {
	f, ok := a.asset(strings.TrimPrefix(r.URL.Path, "/assets/"))
	if !ok {
		notFound(w, r)
		return
	}
	w.Header().Set("Content-Type", f.kind)
	w.Header().Set("ETag", f.etag)
	w.Header().Set("Cache-Control", "no-cache")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(f.body))
}
