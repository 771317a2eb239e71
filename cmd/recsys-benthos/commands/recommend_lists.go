package commands

import (
	"strconv"
	"strings"

	"github.com/recsys-benthos/recsys-benthos/internal/model"
)

// parquetRow is what Spark, DuckDB or pandas read of a recommended movie.
type parquetRow struct {
	UserID       int64    `parquet:"user_id"`
	Rank         int32    `parquet:"rank"` // from 1
	MovieID      int64    `parquet:"movie_id"`
	Score        float32  `parquet:"score"`
	Prediction   float32  `parquet:"prediction"` // stars
	Title        string   `parquet:"title,dict"`
	Genres       []string `parquet:"genres,list,dict"`
	ModelVersion string   `parquet:"model_version,dict"`
	Basis        string   `parquet:"basis,dict"`
}

// decimal is a number with as many digits as it has.
func decimal(value float32) string { return strconv.FormatFloat(float64(value), 'f', -1, 32) }

// listsOfUsers are the movies for each user.
func (s served) listsOfUsers(of model.Recommender, n int, ids []int64) batchOf[recommendations, parquetRow] {
	if ids == nil {
		ids = of.AllUsers()
	}
	return batchOf[recommendations, parquetRow]{
		whom: "users", of: "movies", ids: ids,
		list:   func(user int64) recommendations { return s.recommend(of, user, n) },
		header: []string{"user_id", "rank", "movie_id", "score", "prediction", "title", "genres", "model_version", "basis"},
		append: func(rows []parquetRow, list recommendations) []parquetRow {
			for k, item := range list.Items {
				rows = append(rows, parquetRow{
					list.UserID, int32(k + 1), item.MovieID, item.Score, item.Prediction, item.Title, item.Genres, list.ModelVersion, string(list.Basis),
				})
			}
			return rows
		},
		cells: func(r parquetRow) []string {
			return []string{
				strconv.FormatInt(r.UserID, 10), strconv.Itoa(int(r.Rank)), strconv.FormatInt(r.MovieID, 10), decimal(r.Score), decimal(r.Prediction),
				r.Title, strings.Join(r.Genres, "|"), r.ModelVersion, r.Basis,
			}
		},
	}
}

// audience is the list of one movie.
type audience struct {
	MovieID      int64          `json:"movie_id"`
	Title        string         `json:"title"`
	Genres       []string       `json:"genres"`
	Items        []audienceItem `json:"items"`
	ModelVersion string         `json:"model_version"`
	Head         model.Head     `json:"head"` // that ranked
}

// audienceItem is one user of an audience.
type audienceItem struct {
	UserID     int64   `json:"user_id"`
	Score      float32 `json:"score"`      // what the list is ordered by
	Prediction float32 `json:"prediction"` // rating, in stars
}

// audienceRow is one user of an audience as a row.
type audienceRow struct {
	MovieID      int64   `parquet:"movie_id"`
	Rank         int32   `parquet:"rank"` // from 1
	UserID       int64   `parquet:"user_id"`
	Score        float32 `parquet:"score"`
	Prediction   float32 `parquet:"prediction"` // stars
	Title        string  `parquet:"title,dict"`
	ModelVersion string  `parquet:"model_version,dict"`
}

// listsOfMovies are the users for each movie.
func (s served) listsOfMovies(of model.Recommender, n int, ids []int64) batchOf[audience, audienceRow] {
	if ids == nil {
		ids = of.AllMovies()
	}
	crowd := of.Crowd()
	return batchOf[audience, audienceRow]{
		whom: "movies", of: "users", ids: ids,
		list: func(id int64) audience {
			movie, answer := s.movie(id), crowd.Audience(&model.Query{Movie: id, N: n, Popularity: -1})
			list := audience{MovieID: id, Title: movie.Title, Genres: movie.Genres, Items: make([]audienceItem, len(answer.Items)), ModelVersion: s.version, Head: answer.Head}
			for k, item := range answer.Items {
				list.Items[k] = audienceItem{item.User, item.Score, item.Prediction}
			}
			return list
		},
		header: []string{"movie_id", "rank", "user_id", "score", "prediction", "title", "model_version"},
		append: func(rows []audienceRow, list audience) []audienceRow {
			for k, item := range list.Items {
				rows = append(rows, audienceRow{list.MovieID, int32(k + 1), item.UserID, item.Score, item.Prediction, list.Title, list.ModelVersion})
			}
			return rows
		},
		cells: func(r audienceRow) []string {
			return []string{
				strconv.FormatInt(r.MovieID, 10), strconv.Itoa(int(r.Rank)), strconv.FormatInt(r.UserID, 10), decimal(r.Score), decimal(r.Prediction),
				r.Title, r.ModelVersion,
			}
		},
	}
}
