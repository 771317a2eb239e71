package ratings_test

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
	"github.com/recsys-benthos/recsys-benthos/internal/recsystest"
)

// files are a folder's or an archive's content by name.
type files map[string]string

func folder(t testing.TB, content files) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range content {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func file(t testing.TB, name, text string) string {
	t.Helper()
	return filepath.Join(folder(t, files{name: text}), name)
}

func gzipped(t testing.TB, text string) string {
	t.Helper()
	var buffer bytes.Buffer
	writer := gzip.NewWriter(&buffer)
	if _, err := writer.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	return buffer.String()
}

func zipped(t testing.TB, content files) string {
	t.Helper()
	var buffer bytes.Buffer
	writer := zip.NewWriter(&buffer)
	for name, text := range content {
		entry, err := writer.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := entry.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	return buffer.String()
}

const (
	csvRatings = "userId,movieId,rating,timestamp\n1,31,2.5,1260759144\n7,1029,3.0,1260759179\n"
	datRatings = "1::31::2.5::1260759144\n7::1029::3::1260759179\n"
	tabRatings = "1\t31\t2.5\t1260759144\n7\t1029\t3\t1260759179\n"
	csvMovies  = "movieId,title,genres\n1,Toy Story (1995),Adventure|Animation\n11,\"American President, The (1995)\",Comedy\n"
	csvTags    = "userId,movieId,tag,timestamp\n2,60756,funny,1445714994\n2,60756,\"will \"\"ferrell\"\", 2\",1445714992\n"
	csvLinks   = "movieId,imdbId,tmdbId\n1,0114709,862\n791,0113610,\n"
)

var twoRatings = []ratings.Rating{
	{User: 1, Movie: 31, Value: 2.5, Time: 1260759144000},
	{User: 7, Movie: 1029, Value: 3, Time: 1260759179000},
}

func TestRatingsAreReadInEveryFormat(t *testing.T) {
	cases := []struct {
		name string
		path func(t *testing.T) string
	}{
		{"csv with header", func(t *testing.T) string { return file(t, "ratings.csv", csvRatings) }},
		{"csv without header", func(t *testing.T) string { return file(t, "r", csvRatings[strings.Index(csvRatings, "\n")+1:]) }},
		{"csv with its columns in another order, among others", func(t *testing.T) string {
			return file(t, "r.csv", "rating,note,movieId,timestamp,userId\n2.5,x,31,1260759144,1\n3,,1029,1260759179,7\n")
		}},
		{"csv with other names", func(t *testing.T) string {
			return file(t, "r.csv", "user_id,item_id,rating,timestamp\n1,31,2.5,1260759144\n7,1029,3,1260759179\n")
		}},
		{"csv with quotes", func(t *testing.T) string {
			return file(t, "r.csv", "\"userId\",\"movieId\",\"rating\",\"timestamp\"\n\"1\",\"31\",\"2.5\",\"1260759144\"\n\"7\",\"1029\",\"3\",\"1260759179\"\n")
		}},
		{"csv of Windows, with a byte order mark", func(t *testing.T) string {
			return file(t, "r.csv", "\ufeff"+strings.ReplaceAll(csvRatings, "\n", "\r\n"))
		}},
		{"without header, with a byte order mark", func(t *testing.T) string { return file(t, "r.dat", "\ufeff"+datRatings) }},
		{"a last line without its end", func(t *testing.T) string { return file(t, "r.csv", strings.TrimSuffix(csvRatings, "\n")) }},
		{"ratings.dat", func(t *testing.T) string { return file(t, "ratings.dat", datRatings) }},
		{"u.data", func(t *testing.T) string { return file(t, "u.data", tabRatings) }},
		{"a name that says something else", func(t *testing.T) string { return file(t, "movies.csv", tabRatings) }},
		{"gzip", func(t *testing.T) string { return file(t, "ratings.csv.gz", gzipped(t, csvRatings)) }},
		{"gzip by content alone", func(t *testing.T) string { return file(t, "u.data", gzipped(t, tabRatings)) }},
		{"zip of one file", func(t *testing.T) string { return file(t, "x.zip", zipped(t, files{"any": datRatings})) }},
		{"zip of a data set", func(t *testing.T) string {
			return file(t, "ml.zip", zipped(t, files{"ml/README.txt": "Summary\n=======\n", "ml/movies.csv": csvMovies, "ml/ratings.csv": csvRatings, "ml/tags.csv": csvTags}))
		}},
		{"zip with gzip in it", func(t *testing.T) string {
			return file(t, "ml.zip", zipped(t, files{"ratings.dat.gz": gzipped(t, datRatings)}))
		}},
		{"folder of a data set", func(t *testing.T) string {
			return folder(t, files{"links.csv": csvLinks, "movies.csv": csvMovies, "ratings.csv": csvRatings, "tags.csv": csvTags})
		}},
		{"folder of ML-100K, with its other files of ratings", func(t *testing.T) string {
			return folder(t, files{"u.data": tabRatings, "u1.base": tabRatings, "u.info": "943 users\n"})
		}},
		{"folder with gzip", func(t *testing.T) string { return folder(t, files{"ratings.csv.gz": gzipped(t, csvRatings)}) }},
		{"folder with ratings of another name", func(t *testing.T) string {
			return folder(t, files{"train": datRatings, "users.dat": "1::F::1::10::48067\n", "movies.dat": "1::Toy Story (1995)::Comedy\n", "t": "1::2::no::12\n"})
		}},
		{"folder with a download still packed", func(t *testing.T) string {
			return folder(t, files{"ml.zip": zipped(t, files{"ml/u.data": tabRatings})})
		}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, err := ratings.ReadRatings(c.path(t))
			if err != nil || !reflect.DeepEqual(got, twoRatings) {
				t.Errorf("got %+v, %v; want %+v", got, err, twoRatings)
			}
		})
	}
}

func TestValuesAndTimesOfRatings(t *testing.T) {
	cases := []struct {
		line string
		want ratings.Rating
	}{
		{"1,2,0.5,0", ratings.Rating{User: 1, Movie: 2, Value: 0.5}},
		{"1,2,4.25,-5", ratings.Rating{User: 1, Movie: 2, Value: 4.25, Time: -5000}},
		{"1,2,10,1.5", ratings.Rating{User: 1, Movie: 2, Value: 10, Time: 1500}},
		{"1,2,3e0,964982703.0", ratings.Rating{User: 1, Movie: 2, Value: 3, Time: 964982703000}},
		{"9223372036854775807,2,3", ratings.Rating{User: 9223372036854775807, Movie: 2, Value: 3}},
		{" 1, 2, 3.5, 4", ratings.Rating{User: 1, Movie: 2, Value: 3.5, Time: 4000}},
	}
	for _, c := range cases {
		t.Run(c.line, func(t *testing.T) {
			got, err := ratings.ReadRatings(file(t, "r.csv", c.line+"\n"))
			if err != nil || len(got) != 1 || got[0] != c.want {
				t.Errorf("got %+v, %v; want %+v", got, err, c.want)
			}
		})
	}
}

func TestMoviesAreReadInEveryFormat(t *testing.T) {
	toy := ratings.Movie{ID: 1, Title: "Toy Story (1995)", Genres: []string{"Animation", "Children's", "Comedy"}}
	item := "1|Toy Story (1995)|01-Jan-1995||http://us.imdb.com/M/title-exact?Toy%20Story%20(1995)|0|0|0|1|1|1|0|0|0|0|0|0|0|0|0|0|0|0|0\n"
	cases := []struct {
		name string
		path string
		want []ratings.Movie
	}{
		{"csv with quotes, UTF-8 and no genres", file(t, "movies.csv", csvMovies+"5,Amélie (2001),(no genres listed)\n"), []ratings.Movie{
			{ID: 1, Title: "Toy Story (1995)", Genres: []string{"Adventure", "Animation"}},
			{ID: 11, Title: "American President, The (1995)", Genres: []string{"Comedy"}},
			{ID: 5, Title: "Amélie (2001)"},
		}},
		{"csv without header", file(t, "m", "11,\"American President, The (1995)\",Comedy\n"), []ratings.Movie{
			{ID: 11, Title: "American President, The (1995)", Genres: []string{"Comedy"}},
		}},
		{"movies.dat in Latin-1", file(t, "movies.dat", "1::Toy Story (1995)::Animation|Children's|Comedy\n73::Mis\xe9rables, Les (1995)::Drama\n"), []ratings.Movie{
			toy, {ID: 73, Title: "Misérables, Les (1995)", Genres: []string{"Drama"}},
		}},
		{"movies.dat in UTF-8", file(t, "movies.dat", "73::Misérables, Les (1995)::Drama\n"), []ratings.Movie{{ID: 73, Title: "Misérables, Les (1995)", Genres: []string{"Drama"}}}},
		{"movies.dat with :: in a title", file(t, "movies.dat", "5::a::b::Drama\n"), []ratings.Movie{{ID: 5, Title: "a::b", Genres: []string{"Drama"}}}},
		{"u.item in Latin-1, with genres by flags", file(t, "u.item", item+"267|unknown||||1|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0\n543|Mis\xe9rables, Les (1995)|||x|0|0|0|0|0|0|0|0|1|0|0|0|1|0|0|0|0|0|0\n"), []ratings.Movie{
			toy, {ID: 267, Title: "unknown"}, {ID: 543, Title: "Misérables, Les (1995)", Genres: []string{"Drama", "Musical"}},
		}},
		{"a folder of ML-100K", folder(t, files{"u.item": item, "u.data": tabRatings, "u.genre": "unknown|0\n", "u.user": "1|24|M|technician|85711\n"}), []ratings.Movie{toy}},
		{"a folder with movies of another name", folder(t, files{"films": "1::Toy Story (1995)::Animation|Children's|Comedy\n", "r": datRatings, "t": "1::2::no::12\n"}), []ratings.Movie{toy}},
		{"a zip", file(t, "x.zip", zipped(t, files{"ml-1m/movies.dat": "1::Toy Story (1995)::Animation|Children's|Comedy\n", "ml-1m/ratings.dat": datRatings})), []ratings.Movie{toy}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, err := ratings.ReadMovies(c.path)
			if err != nil || !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %+v, %v; want %+v", got, err, c.want)
			}
		})
	}
}

func TestTagsAreReadInEveryFormat(t *testing.T) {
	cases := []struct {
		name, file, text string
		want             []ratings.Tag
	}{
		{"csv with quotes", "tags.csv", csvTags, []ratings.Tag{{User: 2, Movie: 60756, Tag: "funny", Time: 1445714994000}, {User: 2, Movie: 60756, Tag: `will "ferrell", 2`, Time: 1445714992000}}},
		{"csv without header", "t", "2,60756,funny,1445714994\n", []ratings.Tag{{User: 2, Movie: 60756, Tag: "funny", Time: 1445714994000}}},
		{"tags.dat with :: in a tag", "tags.dat", "15::4973::excellent!::1215184630\n20::1747::a::b::1188263867\n", []ratings.Tag{
			{User: 15, Movie: 4973, Tag: "excellent!", Time: 1215184630000}, {User: 20, Movie: 1747, Tag: "a::b", Time: 1188263867000},
		}},
		{"a number is a tag too", "tags.dat", "15::4973::1984::1215184630\n", []ratings.Tag{{User: 15, Movie: 4973, Tag: "1984", Time: 1215184630000}}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, err := ratings.ReadTags(file(t, c.file, c.text))
			if err != nil || !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %+v, %v; want %+v", got, err, c.want)
			}
		})
	}
}

func TestLinksKeepLeadingZerosAndGaps(t *testing.T) {
	got, err := ratings.ReadLinks(folder(t, files{"links.csv": csvLinks, "ratings.csv": csvRatings}))
	want := []ratings.Link{{Movie: 1, IMDb: "0114709", TMDb: 862}, {Movie: 791, IMDb: "0113610"}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
}

func TestBrokenFilesAreNamedWithTheirLine(t *testing.T) {
	const header = "userId,movieId,rating,timestamp\n1,2,3.5,4\n"
	whole := gzipped(t, strings.Repeat(datRatings, 20000))
	cases := []struct{ name, text, want string }{
		{"ratings.csv", "userId,movieId,stars_given,timestamp\n", `ratings.csv line 1: no column "rating"; expected userId,movieId,rating,timestamp`},
		{"ratings.csv", csvMovies, `ratings.csv line 1: no column "userId"; expected userId,movieId,rating,timestamp`},
		{"ratings.csv", header + "x7,2,3.5,4\n", `ratings.csv line 3: userId "x7" is not a whole number`},
		{"ratings.csv", header + "1,2.5,3.5,4\n", `ratings.csv line 3: movieId "2.5" is not a whole number`},
		{"ratings.csv", header + "1,,3.5,4\n", `ratings.csv line 3: movieId "" is not a whole number`},
		{"ratings.csv", header + "1,99999999999999999999,3.5,4\n", `ratings.csv line 3: movieId "99999999999999999999" does not fit into 64 bits`},
		{"ratings.csv", header + "1,2,good,4\n", `ratings.csv line 3: rating "good" is not a finite number`},
		{"ratings.csv", header + "1,2,NaN,4\n", `ratings.csv line 3: rating "NaN" is not a finite number`},
		{"ratings.csv", header + "\n1,2,+Inf,4\n", `ratings.csv line 4: rating "+Inf" is not a finite number`},
		{"ratings.csv", header + "1,2,1e99,4\n", `ratings.csv line 3: rating "1e99" is not a finite number`},
		{"ratings.csv", header + "1,2,3.5,yesterday\n", `ratings.csv line 3: timestamp "yesterday" is not a time in Unix seconds`},
		{"ratings.csv", header + "1,2,3.5,1260759144000\n", `ratings.csv line 3: timestamp "1260759144000" is no time in Unix seconds: is it in milliseconds?`},
		{"ratings.csv", header + "1,2", `ratings.csv line 3: 2 of 4 fields: is the file cut short?`},
		{"ratings.dat", "1::2::3::4\n1::2::3\n", `ratings.dat line 2: 3 of 4 fields: is the file cut short?`},
		{"ratings.csv", "1,2\n", `ratings.csv line 1: 2 of 3 fields; expected userId,movieId,rating,timestamp`},
		{"ratings.csv", "1;2;3;4\n", `ratings.csv line 1: fields are not separated by comma, tab, :: or |; expected userId,movieId,rating,timestamp`},
		{"ratings.csv", "", "ratings.csv: is empty"},
		{"ratings.csv", "\n\n", "ratings.csv: is empty"},
		{"ratings.csv", "a\x00b\n", "ratings.csv line 1: is not text in UTF-8 or Latin-1"},
		{"ratings.csv", "1,2,3,4\n" + strings.Repeat("1", 1<<19), "ratings.csv line 2: line is longer than 256 KiB: is this a text file?"},
		{"r.gz", whole[:len(whole)/2], "r.gz line "}, // where it breaks is the compressor's matter
		{"r.gz", whole[:12], "r.gz: the archive is cut short or damaged, get it again"},
		{"r.zip", zipped(t, files{"r": datRatings})[:60], "r.zip: the archive is cut short or damaged, get it again"},
		{"r.zip", zipped(t, files{"ml/ratings.csv": header + "1,2,x,4\n", "ml/b": ""}), `r.zip: ml/ratings.csv line 3: rating "x" is not a finite number`},
		{"r.tgz", gzipped(t, strings.Repeat("\x00", 257)+"ustar"+strings.Repeat("\x00", 250)), "r.tgz: is a tar archive: unpack it and give its folder"},
	}
	for _, c := range cases {
		t.Run(c.want, func(t *testing.T) {
			path := file(t, c.name, c.text)
			all, err := ratings.ReadRatings(path)
			if err == nil || all != nil || !strings.HasPrefix(err.Error(), filepath.Dir(path)+"/"+c.want) {
				t.Errorf("got %d ratings and error %v", len(all), err)
			}
			if placed := (*ratings.FileError)(nil); !errors.As(err, &placed) {
				t.Errorf("error is a %T, want a *FileError", err)
			}
		})
	}
}

func TestBrokenTextFilesAreNamedWithTheirLine(t *testing.T) {
	readMovies := func(path string) error { _, err := ratings.ReadMovies(path); return err }
	readTags := func(path string) error { _, err := ratings.ReadTags(path); return err }
	readLinks := func(path string) error { _, err := ratings.ReadLinks(path); return err }
	cases := []struct {
		read             func(string) error
		name, text, want string
	}{
		{readMovies, "movies.csv", "movieId,title\n", `movies.csv line 1: no column "genres"; expected movieId,title,genres`},
		{readMovies, "movies.csv", csvMovies + "x,A,B\n", `movies.csv line 4: movieId "x" is not a whole number`},
		{readMovies, "movies.csv", csvMovies + "12\n", "movies.csv line 4: 1 of 3 fields: is the file cut short?"},
		{readMovies, "movies.csv", csvMovies + "12,\"A\nB\",C\n13\n", "movies.csv line 6: 1 of 3 fields: is the file cut short?"},
		{readMovies, "movies.csv", csvMovies + "12,\"Cut", `movies.csv line 4: extraneous or missing " in quoted-field`},
		{readMovies, "u.item", "1|A|||x|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0|2\n", "u.item line 1: genre flags"},
		{readMovies, "u.item", "1|A|||x|0\n", "u.item line 1: 6 of 24 fields; expected u.item's"},
		{readTags, "tags.csv", csvTags + "1,2,x,y\n", `tags.csv line 4: timestamp "y" is not a time in Unix seconds`},
		{readTags, "tags.csv", csvLinks, `tags.csv line 1: no column "userId"; expected userId,movieId,tag,timestamp`},
		{readLinks, "links.csv", csvLinks + "3,0113228,x\n", `links.csv line 4: tmdbId "x" is not a whole number`},
	}
	for _, c := range cases {
		t.Run(c.want, func(t *testing.T) {
			path := file(t, c.name, c.text)
			if err := c.read(path); err == nil || !strings.HasPrefix(err.Error(), filepath.Dir(path)+"/"+c.want) {
				t.Errorf("got error %v", err)
			}
		})
	}
}

func TestWhatIsNotThereIsSaid(t *testing.T) {
	if _, err := ratings.ReadRatings(filepath.Join(t.TempDir(), "none.csv")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: got %v", err)
	}
	hundredK := folder(t, files{"u.data": tabRatings, "README": "SUMMARY & USAGE LICENSE\n"})
	if _, err := ratings.ReadTags(hundredK); !errors.Is(err, ratings.ErrNoFile) || !strings.Contains(err.Error(), "holds no tags (tags.csv, tags.dat)") {
		t.Errorf("no tags: got %v", err)
	}
	if _, err := ratings.ReadRatings(t.TempDir()); !errors.Is(err, ratings.ErrNoFile) {
		t.Errorf("empty folder: got %v", err)
	}
	two := folder(t, files{"a": tabRatings, "b": datRatings})
	if _, err := ratings.ReadRatings(two); err == nil || !strings.Contains(err.Error(), "hold ratings: name one of them") {
		t.Errorf("two files of ratings: got %v", err)
	}
}

func TestScanRatingsStopsAtTheErrorOfItsFunction(t *testing.T) {
	stop := errors.New("enough")
	path := file(t, "r", strings.Repeat(datRatings, 9000))
	calls := 0
	err := ratings.ScanRatings(path, func(batch []ratings.Rating) error {
		calls++
		return stop
	})
	if !errors.Is(err, stop) || calls != 1 {
		t.Errorf("got %v after %d calls, want the function's error after one", err, calls)
	}
}

func TestMovieLensLatestSmallIsReadWhole(t *testing.T) {
	dir := recsystest.DataDir(t)
	all, err := ratings.ReadRatings(dir)
	if err != nil {
		t.Fatal(err)
	}
	if first := (ratings.Rating{User: 1, Movie: 1, Value: 4, Time: 964982703000}); len(all) != 100836 || all[0] != first {
		t.Errorf("%d ratings, the first %+v; want 100836, %+v", len(all), all[0], first)
	}
	movies, err := ratings.ReadMovies(dir)
	if err != nil || len(movies) != 9742 {
		t.Errorf("%d movies, %v; want 9742", len(movies), err)
	}
	tags, err := ratings.ReadTags(dir)
	if err != nil || len(tags) != 3683 {
		t.Errorf("%d tags, %v; want 3683", len(tags), err)
	}
	links, err := ratings.ReadLinks(dir)
	if err != nil || len(links) != 9742 {
		t.Errorf("%d links, %v; want 9742", len(links), err)
	}
}

func BenchmarkReadRatings(b *testing.B) {
	dir := recsystest.DataDir(b)
	rows := 0
	b.ReportAllocs()
	for b.Loop() {
		all, err := ratings.ReadRatings(dir)
		if err != nil {
			b.Fatal(err)
		}
		rows += len(all)
	}
	b.ReportMetric(float64(rows)/b.Elapsed().Seconds(), "ratings/s")
}
