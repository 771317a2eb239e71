package ratings

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Movie is what MovieLens says about a film.
type Movie struct {
	ID     int64
	Title  string   // with the year, as MovieLens writes it
	Genres []string // none for "(no genres listed)"
}

// Link names a movie in other catalogs; what is missing is empty or 0.
type Link struct {
	Movie int64
	IMDb  string // digits, with leading zeros
	TMDb  int64
}

// genreFlags are the genres of u.item's last columns, in their order; the first
// is not a genre.
var genreFlags = [...]string{
	"", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama", "Fantasy",
	"Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western",
}

// ReadMovies reads all movies of a MovieLens data set, in the order of the
// file: movies.csv, movies.dat or u.item, where and how as ReadRatings finds
// them. Text is UTF-8, or Latin-1 where it is not valid UTF-8. Errors are as
// those of ReadRatings.
func ReadMovies(path string) ([]Movie, error) {
	var movies []Movie
	err := eachRecord(path, moviesKind, func(l layout, fields []string) error {
		id, err := parseField([]byte(fields[0]), movieField.name, parseID)
		if err != nil {
			return err
		}
		movie := Movie{ID: id, Title: strings.TrimSpace(fields[1])}
		if l.separator == "|" {
			movie.Genres, err = flaggedGenres(fields[2])
		} else {
			movie.Genres = listedGenres(fields[2])
		}
		movies = append(movies, movie)
		return err
	})
	if err != nil {
		return nil, err
	}
	return movies, nil
}

func listedGenres(list string) []string {
	if list == "" || list == "(no genres listed)" {
		return nil
	}
	return strings.Split(list, "|")
}

func flaggedGenres(flags string) ([]string, error) {
	var genres []string
	for k, flag := range strings.Split(flags, "|") {
		switch {
		case k >= len(genreFlags) || flag != "0" && flag != "1":
			return nil, fmt.Errorf("genre flags %q are not %d of 0 or 1", flags, len(genreFlags))
		case flag == "1" && genreFlags[k] != "":
			genres = append(genres, genreFlags[k])
		}
	}
	return genres, nil
}

// ReadTags reads all tags of a MovieLens data set, in the order of the file:
// tags.csv or tags.dat, where and how as ReadRatings finds them. ML-100K and
// ML-1M have none: the error then wraps ErrNoFile.
func ReadTags(path string) ([]Tag, error) {
	var tags []Tag
	err := eachRecord(path, tagsKind, func(_ layout, fields []string) (err error) {
		tag := Tag{Tag: fields[2]}
		if tag.User, err = parseField([]byte(fields[0]), userField.name, parseID); err != nil {
			return err
		}
		if tag.Movie, err = parseField([]byte(fields[1]), movieField.name, parseID); err != nil {
			return err
		}
		if fields[3] != "" {
			tag.Time, err = parseField([]byte(fields[3]), timeField.name, parseTime)
		}
		tags = append(tags, tag)
		return err
	})
	if err != nil {
		return nil, err
	}
	return tags, nil
}

// ReadLinks reads links.csv, where and how as ReadRatings finds it; ML-100K,
// ML-1M and ML-10M have none: the error then wraps ErrNoFile.
func ReadLinks(path string) ([]Link, error) {
	var links []Link
	err := eachRecord(path, linksKind, func(_ layout, fields []string) (err error) {
		link := Link{IMDb: fields[1]}
		if link.Movie, err = parseField([]byte(fields[0]), movieField.name, parseID); err != nil {
			return err
		}
		if fields[2] != "" {
			link.TMDb, err = parseField([]byte(fields[2]), "tmdbId", parseID)
		}
		links = append(links, link)
		return err
	})
	if err != nil {
		return nil, err
	}
	return links, nil
}

// eachRecord calls fn with the fields of every record, in the kind's own order
// ("" for a column that the file has not). It is for files of text; ratings
// have ScanRatings.
func eachRecord(path string, want kind, fn func(l layout, fields []string) error) error {
	t, err := openTable(path, want)
	if err != nil {
		return err
	}
	fields := make([]string, len(t.layout.columns))
	each := func(line int, parts []string) error {
		if len(parts) < t.layout.fields {
			return inFile(t.name, line, fmt.Errorf("%d of %d fields: is the file cut short?", len(parts), t.layout.fields))
		}
		for k, column := range t.layout.columns {
			fields[k] = ""
			if column >= 0 {
				fields[k] = text(parts[column])
			}
		}
		return inFile(t.name, line, fn(t.layout, fields))
	}
	if t.layout.separator == "," {
		err = t.eachCSV(each)
	} else {
		err = t.eachLine(func(line int, raw []byte) error { return each(line, t.layout.split(string(raw), want)) })
	}
	return errors.Join(err, t.close())
}

// split splits a line that knows no quoting. A separator may stand in the one
// field that is free text: what is too many belongs there.
func (l *layout) split(line string, want kind) []string {
	if l.separator == "|" {
		return strings.SplitN(line, "|", 6)
	}
	parts := strings.Split(line, l.separator)
	free := map[kind]int{tagsKind: 2, moviesKind: 1}[want]
	if extra := len(parts) - l.fields; extra > 0 && free > 0 && !l.header {
		joined := strings.Join(parts[free:free+extra+1], l.separator)
		parts = append(append(parts[:free:free], joined), parts[free+extra+1:]...)
	}
	return parts
}

func (t *table) eachCSV(fn func(line int, parts []string) error) error {
	reader := csv.NewReader(t.reader)
	reader.FieldsPerRecord = -1
	reader.ReuseRecord = true
	line := 0
	for first := true; ; first = false {
		parts, err := reader.Read()
		if err == io.EOF {
			return nil
		}
		if parse := (*csv.ParseError)(nil); errors.As(err, &parse) {
			return inFile(t.name, parse.StartLine, fmt.Errorf("%w (a title or tag with a quote or comma needs quotes around it, and quotes in it doubled)", parse.Err))
		} else if err != nil {
			return inFile(t.name, line+1, readError(err))
		}
		line, _ = reader.FieldPos(0)
		if first && t.layout.header {
			continue
		}
		if err := fn(line, parts); err != nil {
			return err
		}
	}
}
