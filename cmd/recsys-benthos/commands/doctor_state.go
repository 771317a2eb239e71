package commands

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/recsys-benthos/recsys-benthos/internal/catalog"
	"github.com/recsys-benthos/recsys-benthos/internal/model"
	"github.com/recsys-benthos/recsys-benthos/internal/registry"
)

// Free space below which a disk is a problem, or worth a warning.
const (
	leastSpace = 256 << 20
	scantSpace = 2 << 30
)

// checkState looks at the folders that are written to, and at the database.
func (d *doctor) checkState() {
	folders := []string{d.state}
	if folder, ok := folderOf(d.registryURL()); ok && filepath.Dir(filepath.Clean(folder)) != filepath.Clean(folders[0]) {
		folders = append(folders, folder)
	}
	for _, folder := range folders {
		d.checkFolder(folder)
	}
	if file := d.setting("sqlite_ratings", "path", ""); file != "" {
		d.checkDatabase(file)
	}
}

func (d *doctor) registryURL() string {
	return d.setting("als_model", "registry", "file://"+filepath.ToSlash(filepath.Join(d.state, "registry")))
}

// folderOf returns the folder of a registry that is in one.
func folderOf(registryURL string) (string, bool) {
	if path, ok := strings.CutPrefix(registryURL, "file://"); ok {
		return filepath.FromSlash(path), true
	}
	u, err := url.Parse(registryURL)
	return registryURL, err == nil && u.Scheme == ""
}

// checkFolder tries to write, which tells the clock of the file system too, and
// measures the space.
func (d *doctor) checkFolder(folder string) {
	if _, err := os.Stat(folder); errors.Is(err, fs.ErrNotExist) {
		d.say("disk", fine, "", "%s is not there yet; the first run makes it", folder)
		return
	}
	file, err := os.CreateTemp(folder, ".doctor-*")
	if err != nil {
		d.say("disk", trouble, "give the user who runs this the right to write there, mount it for writing, or name another folder with --state (RECSYS_STATE)", "%s cannot be written: %v", folder, err)
		return
	}
	defer os.Remove(file.Name())
	_, err = file.WriteString("doctor")
	err = errors.Join(err, file.Sync(), file.Close())
	info, statErr := os.Stat(file.Name())
	if err = errors.Join(err, statErr); err != nil {
		d.say("disk", trouble, "free space there: recsys-benthos models prune --keep 10 removes old versions", "%s cannot be written: %v", folder, err)
		return
	}
	d.judgeSkew("the file system of "+folder, time.Until(info.ModTime()))
	free, err := freeSpace(folder)
	mend := "free space there: recsys-benthos models prune --keep 10 removes old versions"
	switch text := humanize.IBytes(free); {
	case err != nil:
		d.say("disk", warning, "look with df", "the space of %s is not known: %v", folder, err)
	case free < leastSpace:
		d.say("disk", trouble, mend, "only %s are free in %s", text, folder)
	case free < scantSpace:
		d.say("disk", warning, mend, "only %s are free in %s", text, folder)
	default:
		d.say("disk", fine, "", "%s are free in %s", text, folder)
	}
}

// freeSpace is how many bytes a user who is not root may still write.
func freeSpace(folder string) (uint64, error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(folder, &s); err != nil {
		return 0, err
	}
	return uint64(s.Bavail) * uint64(s.Bsize), nil
}

// checkDatabase reads the rating store without changing it.
func (d *doctor) checkDatabase(file string) {
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		d.say("schema", fine, "", "%s is not there yet; the first run makes it", file)
		return
	}
	mend := "move the file away and start again: the ratings are read anew from Kafka's topic events, or from a copy of the file"
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: file}).EscapedPath()+"?mode=ro&_pragma=busy_timeout(2000)")
	if err != nil {
		d.say("schema", trouble, mend, "%s: %v", file, err)
		return
	}
	defer db.Close()
	var stored int64
	if err := db.QueryRow("SELECT count(*) FROM ratings").Scan(&stored); err != nil {
		d.say("schema", trouble, mend, "the rating store %s cannot be read: %v", file, err)
		return
	}
	d.say("schema", fine, "", "the rating store %s has %d ratings", file, stored)
}

// checkModel loads the champion, as a predicting process would.
func (d *doctor) checkModel() {
	versions, err := registry.Open(d.registryURL())
	if err != nil {
		d.say("model", trouble, "correct RECSYS_REGISTRY: file:///folder, or s3://bucket/folder?region=…", "%v", err)
		return
	}
	champion, err := versions.Resolve(registry.Champion)
	if errors.Is(err, registry.ErrNoChampion) {
		d.say("model", warning, "train one with recsys-benthos train, or let recsys-benthos up do it", "no version is champion yet in %s", versions.URL())
		return
	}
	if err != nil {
		d.say("model", trouble, "correct RECSYS_REGISTRY and the right to read it; recsys-benthos models verify tells more", "%v", err)
		return
	}
	m, manifest, err := versions.Model(champion)
	if err != nil {
		d.say("model", trouble, "recsys-benthos models rollback, or import the version again from an export; recsys-benthos models verify tells what is damaged", "the champion cannot be loaded: %v", err)
		return
	}
	if age := time.Since(manifest.CreatedAt); age > d.modelAge {
		d.say("model", warning, "train a newer one with recsys-benthos train, or see why the pipeline train does not", "the champion %s is from %s", champion, humanize.Time(manifest.CreatedAt))
	} else {
		d.say("model", fine, "", "the champion %s, from %s, loads and has the checksum of its manifest", champion, humanize.Time(manifest.CreatedAt))
	}
	d.checkCatalog(m)
}

// checkCatalog finds movies of the model that have no title.
func (d *doctor) checkCatalog(m *model.Model) {
	source := d.setting("movie_catalog", "source", "")
	if source == "" {
		return // its movies are in the rating store
	}
	movies, err := catalog.Open(source)
	if errors.Is(err, fs.ErrNotExist) {
		d.say("model", warning, "say where MovieLens is in RECSYS_MOVIES (recsys-benthos up does it by itself)", "there are no titles: %s is not there", source)
		return
	}
	if err != nil {
		d.say("model", trouble, "correct the file, or RECSYS_MOVIES", "the catalog %s cannot be read: %v", source, err)
		return
	}
	ids := model.Recommender{Version: &model.Version{Model: m}}.AllMovies()
	unknown := 0
	for _, id := range ids {
		if _, ok := movies.Movie(id); !ok {
			unknown++
		}
	}
	if unknown > 0 {
		d.say("model", warning, "give the catalog of the same data as the ratings: RECSYS_MOVIES", "%d of the champion's %d movies are not in %s, and have no title", unknown, len(ids), source)
		return
	}
	d.say("model", fine, "", "all %d movies of the champion are in %s", len(ids), source)
}

// checkAddresses looks who listens where the page and the admin server do.
func (d *doctor) checkAddresses(ctx context.Context) {
	client := http.Client{Timeout: d.timeout}
	for _, place := range []struct{ name, address, path, flag, sign string }{
		{"the admin server", d.admin, "/ready", "RECSYS_ADMIN", ""},
		{"the live page", d.listen, "/live/health", "RECSYS_LISTEN", ""},
	} {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+place.address+place.path, nil)
		if err != nil {
			d.say("ports", trouble, "give "+place.flag+" as host:port", "%s: %v", place.name, err)
			continue
		}
		if place.address == d.admin {
			if err := authenticate(request); err != nil {
				d.say("ports", trouble, "give the file that holds the password the right to be read", "%v", err)
				continue
			}
		}
		response, err := client.Do(request)
		switch {
		case errors.Is(err, syscall.ECONNREFUSED):
			d.say("ports", fine, "", "%s is free for %s: nothing runs there", place.address, place.name)
		case err != nil:
			d.say("ports", trouble, "stop the program that has the port (ss -ltnp names it), or choose another with "+place.flag, "%s is taken, and not by %s: %v", place.address, place.name, err)
		default:
			d.judgeAnswer(place.name, place.address, place.flag, response)
		}
	}
}

func (d *doctor) judgeAnswer(name, address, flag string, response *http.Response) {
	defer response.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(response.Body, 4096)) // what is missing is not missed
	body = bytes.TrimSpace(body)
	switch response.StatusCode {
	case http.StatusOK:
		d.say("ports", fine, "", "%s answers at %s, and is ready", name, address)
	case http.StatusUnauthorized:
		d.say("ports", trouble, "set "+adminPassword+" and "+adminUser+" as the process has them", "%s at %s wants a password, and not the one that is set here", name, address)
	case http.StatusServiceUnavailable:
		d.say("ports", warning, "wait if it has just started; else its log says what it waits for", "%s answers at %s, and is not ready: %s", name, address, body)
	default:
		d.say("ports", trouble, "stop the program that has the port (ss -ltnp names it), or choose another with "+flag,
			"%s is taken, and not by %s: it answers %s", address, name, fmt.Sprint(response.StatusCode))
	}
}
