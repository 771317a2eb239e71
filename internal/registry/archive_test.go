package registry

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/recsys-benthos/recsys-benthos/internal/message"
	"github.com/recsys-benthos/recsys-benthos/internal/model"
)

func TestAVersionIsExportedAndImportedAsItWas(t *testing.T) {
	from := open(t)
	v := publish(t, from, 3)
	for _, name := range []string{"version.tar", "folder"} {
		path := filepath.Join(t.TempDir(), name)
		if _, err := from.Export(t.Context(), v.Version, path); err != nil {
			t.Fatal(err)
		}
		if _, err := from.Export(t.Context(), v.Version, path); err == nil {
			t.Error("an export was written over")
		}
		if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) != 1 {
			t.Errorf("it left %v, %v", entries, err)
		}
		to := open(t)
		for _, isNew := range []bool{true, false} {
			got, wasNew, err := to.Import(t.Context(), path, "test", time.Now())
			if err != nil || wasNew != isNew || asJSON(got) != asJSON(v) {
				t.Errorf("%s: imported %+v, new %v, %v; want %+v", name, got, wasNew, err, v)
			}
		}
		sound(t, to, 0)
		if m, _, err := to.Model(v.Version); err != nil || m.Predict(1, 1).Value != 3 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestABareModelGetsAManifestThatTheGateDoesNotLike(t *testing.T) {
	from, to := open(t), open(t)
	v := publish(t, from, 3)
	at := time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC)
	got, isNew, err := to.Import(t.Context(), from.bucket.where(modelKey(v.Version)), "test", at)
	if err != nil || !isNew || got.Version != "20260102-150405-"+v.SHA256[:6] || got.Gate.Outcome != message.OutcomeUndecided {
		t.Errorf("got %+v, %v", got, err)
	}
	sound(t, to, 0)
}

// archived writes a .tar file.
func archived(t *testing.T, headers []tar.Header, contents ...string) string {
	t.Helper()
	var file bytes.Buffer
	w := tar.NewWriter(&file)
	for i, header := range headers {
		header.Size = int64(len(contents[i]))
		if err := w.WriteHeader(&header); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(contents[i])); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "x.tar")
	if err := os.WriteFile(path, file.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// sparse writes a .tar file of a few blocks that says that the file in it is of size
// bytes, none of which it holds, as PAX has sparse files; tar.Writer does not.
func sparse(t *testing.T, name string, size int64) string {
	t.Helper()
	var records string
	for _, record := range [][2]string{{"GNU.sparse.major", "1"}, {"GNU.sparse.minor", "0"}, {"GNU.sparse.name", name}, {"GNU.sparse.realsize", fmt.Sprint(size)}} {
		text := " " + record[0] + "=" + record[1] + "\n"
		records += fmt.Sprint(len(text)+2) + text // all have a length of two digits
	}
	content := make([]byte, 512) // the map: one piece, of nothing, at the end
	copy(content, fmt.Sprintf("1\n%d\n0\n", size))
	var file bytes.Buffer
	for _, block := range []struct {
		kind byte
		data []byte
	}{{'x', []byte(records)}, {'0', content}} {
		header := make([]byte, 512)
		copy(header, "GNUSparseFile.0/"+name)
		copy(header[100:], fmt.Sprintf("%07o\x00%07o\x00%07o\x00%011o\x00%011o\x00        ", 0o644, 0, 0, len(block.data), 0))
		header[156] = block.kind
		copy(header[257:], "ustar\x0000")
		sum := 0
		for _, b := range header {
			sum += int(b)
		}
		copy(header[148:], fmt.Sprintf("%06o\x00 ", sum))
		file.Write(header)
		file.Write(append(block.data, make([]byte, (512-len(block.data)%512)%512)...))
	}
	file.Write(make([]byte, 1024))
	if header, err := tar.NewReader(bytes.NewReader(file.Bytes())).Next(); err != nil || header.Size != size || header.Name != name {
		t.Fatalf("the bomb is none: %+v, %v", header, err)
	}
	path := filepath.Join(t.TempDir(), "bomb.tar")
	if err := os.WriteFile(path, file.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestNoNameLeadsOutOfTheRegistry, whoever gives it: a person, a manifest, or an
// announcement, whose uri nobody follows.
func TestNoNameLeadsOutOfTheRegistry(t *testing.T) {
	r := open(t)
	v := publish(t, r, 3)
	outside := filepath.Join(filepath.Dir(r.bucket.where("")), "outside")
	if err := os.CopyFS(outside, os.DirFS(filepath.Dir(r.bucket.where(modelKey(v.Version))))); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{
		"../../outside", "..", ".", "", "/etc", "a/b", `a\b`, "a\x00", "a\n", "..x", "x..", outside, "file://" + outside, strings.Repeat("a", 200), "é", "-rf", "%2e%2e",
	} {
		if m, err := r.Manifest(name); err == nil {
			t.Errorf("%q has the manifest %+v", name, m)
		}
		if _, _, err := r.Model(name); err == nil {
			t.Errorf("%q is loaded", name)
		}
		if _, err := r.Export(t.Context(), name, filepath.Join(t.TempDir(), "x.tar")); err == nil {
			t.Errorf("%q is exported", name)
		}
		if _, _, _, err := r.PromoteByHand(t.Context(), name, "test", true, time.Now()); err == nil {
			t.Errorf("%q is promoted", name)
		}
		if _, _, err := r.Assign(t.Context(), "challenger:x", name, 0, "test", time.Now()); err == nil && name != "" {
			t.Errorf("%q has a role", name)
		}
	}
	if _, err := os.Stat(filepath.Join(outside, manifestFile)); err != nil {
		t.Errorf("what is outside: %v", err)
	}
}

func TestWhatIsNoExportIsRefusedAndNothingIsWritten(t *testing.T) {
	from := open(t)
	v := publish(t, from, 3)
	bytesOf := func(key string) string {
		data, err := os.ReadFile(from.bucket.where(key))
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	file, good := bytesOf(modelKey(v.Version)), bytesOf(manifestKey(v.Version))
	changed := func(change func(*Manifest)) string {
		m := v
		change(&m)
		text, _ := json.Marshal(m)
		return string(text)
	}
	of := func(names ...string) (headers []tar.Header) {
		for _, name := range names {
			headers = append(headers, tar.Header{Name: name, Mode: 0o644})
		}
		return headers
	}
	both := of(manifestFile, modelFile)
	whole := archived(t, both, good, file)
	data, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	short := filepath.Join(t.TempDir(), "short.tar")
	if err := os.WriteFile(short, data[:len(data)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	linked := t.TempDir()
	if err := errors.Join(os.Symlink("/etc/hostname", filepath.Join(linked, manifestFile)), os.WriteFile(filepath.Join(linked, modelFile), []byte(file), 0o600)); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		path string
		want error
	}{
		"a path out of it":            {archived(t, of("../"+manifestFile, modelFile), good, file), ErrArchive},
		"an absolute path":            {archived(t, of("/etc/passwd", modelFile), good, file), ErrArchive},
		"something else too":          {archived(t, of(manifestFile, modelFile, "x"), good, file, "x"), ErrArchive},
		"a file twice":                {archived(t, of(manifestFile, manifestFile), good, good), ErrArchive},
		"no model":                    {archived(t, of(manifestFile), good), ErrArchive},
		"no manifest":                 {archived(t, of(modelFile), file), ErrArchive},
		"a link":                      {archived(t, []tar.Header{{Name: manifestFile, Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"}, of(modelFile)[0]}, "", file), ErrArchive},
		"a hard link":                 {archived(t, []tar.Header{{Name: manifestFile, Typeflag: tar.TypeLink, Linkname: "/etc/passwd"}, of(modelFile)[0]}, "", file), ErrArchive},
		"a device":                    {archived(t, []tar.Header{{Name: manifestFile, Typeflag: tar.TypeChar, Devmajor: 1, Devminor: 5}, of(modelFile)[0]}, "", file), ErrArchive},
		"a pipe":                      {archived(t, []tar.Header{{Name: manifestFile, Typeflag: tar.TypeFifo}, of(modelFile)[0]}, "", file), ErrArchive},
		"a folder of that name":       {archived(t, []tar.Header{{Name: manifestFile, Typeflag: tar.TypeDir}, of(modelFile)[0]}, "", file), ErrArchive},
		"a bomb":                      {sparse(t, modelFile, 8<<30), ErrArchive},
		"a link in a folder":          {linked, ErrArchive},
		"an empty folder":             {t.TempDir(), ErrArchive},
		"a cut archive":               {short, ErrArchive},
		"no archive":                  {from.bucket.where(manifestKey(v.Version)), ErrArchive},
		"a huge manifest":             {archived(t, both, good+strings.Repeat(" ", maxManifestBytes), file), ErrArchive},
		"a name that leads elsewhere": {archived(t, both, changed(func(m *Manifest) { m.Version = "../../x" }), file), ErrArchive},
		"another size":                {archived(t, both, changed(func(m *Manifest) { m.Bytes++ }), file), ErrDamaged},
		"another model":               {archived(t, both, good, string(flipped([]byte(file)))), ErrDamaged},
		"a manifest that is none":     {archived(t, both, "nonsense", file), ErrDamaged},
		"a newer format":              {archived(t, both, changed(func(m *Manifest) { m.Format = 7 }), file), ErrNewerFormat},
		"what is no model": {archived(t, both, changed(func(m *Manifest) {
			m.Bytes, m.SHA256 = 4, "9f64a747e1b97f131fabb6b447296c9b6f0201e79fb3c5356e6c77e89b6a806a" // of 1, 2, 3, 4
		}), "\x01\x02\x03\x04"), model.ErrFormat},
	} {
		to := open(t)
		if _, _, err := to.Import(t.Context(), c.path, "test", time.Now()); !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.path) {
			t.Errorf("%s: %v", name, err)
		}
		if entries, err := os.ReadDir(to.bucket.where("")); err != nil || len(entries) != 0 {
			t.Errorf("%s: it left %v, %v", name, entries, err)
		}
	}
	if _, _, err := open(t).Import(t.Context(), whole, "test", time.Now()); err != nil {
		t.Errorf("the good one: %v", err)
	}
}
