package movielens

import (
	"bufio"
	_ "embed"
	"encoding/csv"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Sample describes a simulated sample: real films, generated ratings.
type Sample struct {
	Users   int
	Ratings int // about as many are made
	Seed    uint64
}

// DefaultSample has about as many users as ml-latest-small, and as many ratings
// of each as its fewer films allow.
var DefaultSample = Sample{Users: 610, Ratings: 40_000, Seed: 42}

// films are well-known films with their genres, one a line: "Title (Year)|A|B".
//
//go:embed films.txt
var films string

type film struct {
	title  string
	genres []string
}

func readFilms() []film {
	var all []film
	for line := range strings.Lines(films) {
		if title, genres, ok := strings.Cut(strings.TrimSpace(line), "|"); ok {
			all = append(all, film{title, strings.Split(genres, "|")})
		}
	}
	return all
}

// WriteSample writes ratings.csv, movies.csv, tags.csv and links.csv into dir,
// which appears only once they are complete. Equal samples give equal files.
//
// A rating is a mean, plus a user's and a film's bias, plus how well the film's
// hidden traits, which its genres share, fit the user's, plus noise, rounded to
// half a star. A few users rate much, a few films are rated by most (Zipf), as
// in MovieLens.
func WriteSample(dir string, s Sample) error {
	temporary := dir + ".tmp"
	if err := os.RemoveAll(temporary); err != nil {
		return err
	}
	if err := os.MkdirAll(temporary, 0o755); err != nil {
		return err
	}
	g := newGenerator(s)
	for name, write := range map[string]func(*csv.Writer) error{
		"movies.csv": g.movies, "links.csv": g.links, "ratings.csv": g.ratings, "tags.csv": g.tags,
	} {
		if err := writeCSV(filepath.Join(temporary, name), write); err != nil {
			return fmt.Errorf("writing %s: %w", name, err)
		}
	}
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	return os.Rename(temporary, dir)
}

func writeCSV(path string, write func(*csv.Writer) error) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer file.Close()
	buffered := bufio.NewWriter(file)
	w := csv.NewWriter(buffered)
	if err := write(w); err != nil {
		return err
	}
	w.Flush()
	if err := w.Error(); err != nil {
		return err
	}
	if err := buffered.Flush(); err != nil {
		return err
	}
	return file.Close()
}

// traits is how many hidden traits films and users have.
const traits = 6

// The years that ratings spread over, as Unix seconds.
const (
	firstRating = 946_684_800 // 2000-01-01
	lastRating  = 1_577_836_800
)

type generator struct {
	sample Sample
	films  []film
	bias   []float64
	taste  [][traits]float64 // of films
	draw   []float64         // cumulated popularity of films
}

func newGenerator(s Sample) *generator {
	g := &generator{sample: s, films: readFilms()}
	random := rand.New(rand.NewPCG(s.Seed, 1))
	genre := map[string][traits]float64{}
	total := 0.0
	for i, f := range g.films {
		var taste [traits]float64
		for _, name := range f.genres {
			if _, ok := genre[name]; !ok {
				var t [traits]float64
				for k := range t {
					t[k] = random.NormFloat64()
				}
				genre[name] = t
			}
			for k := range taste {
				taste[k] += genre[name][k] / math.Sqrt(float64(len(f.genres)))
			}
		}
		for k := range taste {
			taste[k] = 0.7*taste[k] + 0.5*random.NormFloat64()
		}
		// The list begins with the most loved and ends with the least.
		g.bias = append(g.bias, 0.6-1.1*float64(i)/float64(len(g.films))+0.25*random.NormFloat64())
		g.taste = append(g.taste, taste)
		total += 1 / math.Pow(float64(i)+5, 0.7)
		g.draw = append(g.draw, total)
	}
	return g
}

func (g *generator) movies(w *csv.Writer) error {
	if err := w.Write([]string{"movieId", "title", "genres"}); err != nil {
		return err
	}
	for i, f := range g.films {
		if err := w.Write([]string{strconv.Itoa(i + 1), f.title, strings.Join(f.genres, "|")}); err != nil {
			return err
		}
	}
	return nil
}

// links writes the header only: the sample's films have no ids elsewhere.
func (g *generator) links(w *csv.Writer) error {
	return w.Write([]string{"movieId", "imdbId", "tmdbId"})
}

func (g *generator) ratings(w *csv.Writer) error {
	if err := w.Write([]string{"userId", "movieId", "rating", "timestamp"}); err != nil {
		return err
	}
	weights := 0.0
	for u := range g.sample.Users {
		weights += userWeight(u)
	}
	for u := range g.sample.Users {
		n := int(math.Round(float64(g.sample.Ratings) * userWeight(u) / weights))
		if err := g.user(w, u, min(max(n, 5), len(g.films)*3/4)); err != nil {
			return err
		}
	}
	return nil
}

func userWeight(u int) float64 { return 1 / math.Pow(float64(u%97)+3, 0.6) }

// user writes n ratings of user u, from a day of his own on.
func (g *generator) user(w *csv.Writer, u, n int) error {
	random := rand.New(rand.NewPCG(g.sample.Seed, uint64(u)+1000))
	bias := 0.4 * random.NormFloat64()
	var taste [traits]float64
	for k := range taste {
		taste[k] = 0.35 * random.NormFloat64()
	}
	at := firstRating + random.Int64N(lastRating-firstRating)
	seen := map[int]bool{}
	for len(seen) < n {
		i := g.pick(random)
		if seen[i] {
			continue
		}
		seen[i] = true
		value := 3.5 + bias + g.bias[i] + 0.7*random.NormFloat64()
		for k := range taste {
			value += taste[k] * g.taste[i][k]
		}
		value = math.Round(min(max(value, 0.5), 5)*2) / 2
		at = min(at+random.Int64N(120)+1, lastRating)
		row := []string{strconv.Itoa(u + 1), strconv.Itoa(i + 1), strconv.FormatFloat(value, 'f', 1, 64), strconv.FormatInt(at, 10)}
		if err := w.Write(row); err != nil {
			return err
		}
	}
	return nil
}

// pick draws a film by popularity.
func (g *generator) pick(random *rand.Rand) int {
	x := random.Float64() * g.draw[len(g.draw)-1]
	for i, upTo := range g.draw {
		if x < upTo {
			return i
		}
	}
	return len(g.draw) - 1
}

// tags writes one tag for every 200 ratings, each of its film's genres.
func (g *generator) tags(w *csv.Writer) error {
	if err := w.Write([]string{"userId", "movieId", "tag", "timestamp"}); err != nil {
		return err
	}
	random := rand.New(rand.NewPCG(g.sample.Seed, 2))
	for range g.sample.Ratings / 200 {
		i := g.pick(random)
		genres := g.films[i].genres
		row := []string{
			strconv.Itoa(random.IntN(g.sample.Users) + 1), strconv.Itoa(i + 1),
			strings.ToLower(genres[random.IntN(len(genres))]),
			strconv.FormatInt(firstRating+random.Int64N(lastRating-firstRating), 10),
		}
		if err := w.Write(row); err != nil {
			return err
		}
	}
	return nil
}
