package commands

import (
	"fmt"
	"strings"

	"github.com/recsys-benthos/recsys-benthos/internal/eval"
)

// printResult prints a table of at most 80 columns.
func printResult(r eval.Result) {
	fmt.Printf("%s, trained on %d ratings, measured on %d (%d cold)\n\n", r.Algorithm, r.TrainRatings, r.TestRatings, r.ColdPairs)
	fmt.Printf("%-19s %8s %8s %8s   %s\n", "predicted ratings", r.Algorithm, "biases", "mean", "90 % interval over users")
	fmt.Printf("%-19s %8.4f %8.4f %8.4f   %s\n", "RMSE, all pairs", r.RMSE, r.Baselines.BiasOnly.RMSE, r.Baselines.GlobalMean.RMSE, interval(r.RMSE90))
	fmt.Printf("%-19s %8.4f\n", "RMSE, warm pairs", r.RMSEWarm)
	if r.AveragedRMSE > 0 {
		fmt.Printf("%-19s %8.4f   predictions averaged over samples; above is what is served\n", "RMSE, averaged", r.AveragedRMSE)
	}
	fmt.Printf("%-19s %8.4f\n\n", "MAE", r.MAE)
	fmt.Printf("%-19s %8s %8s %8s   %d users, all unseen movies\n", "rankings", "served", "by stars", "popular", r.Ranking.Users)
	for _, line := range []struct {
		name string
		of   func(eval.Ranking) float64
		note string
	}{
		{"NDCG@10", func(r eval.Ranking) float64 { return r.NDCG10 }, interval(r.NDCG90)},
		{"NDCG@100", func(r eval.Ranking) float64 { return r.NDCG100 }, ""},
		{"recall@20", func(r eval.Ranking) float64 { return r.Recall20 }, ""},
		{"precision@10", func(r eval.Ranking) float64 { return r.Precision10 }, ""},
		{"MAP@100", func(r eval.Ranking) float64 { return r.MAP100 }, ""},
		{"coverage@10", func(r eval.Ranking) float64 { return r.Coverage10 }, "of all movies"},
		{"novelty@10, bits", func(r eval.Ranking) float64 { return r.Novelty10 }, ""},
	} {
		text := fmt.Sprintf("%-19s %8.4f %8.4f %8.4f   %s", line.name, line.of(r.Ranking), line.of(r.RankingByRating), line.of(r.Baselines.Popularity), line.note)
		fmt.Println(strings.TrimRight(text, " "))
	}
	if r.Intervals != nil {
		fmt.Printf("\n%-30s %8s %8s %8s %8s\n", "ratings within intervals", "ratings", "of 50 %", "of 80 %", "of 90 %")
		for _, c := range r.Intervals.Coverage {
			fmt.Printf("%-30s %8d %8.3f %8.3f %8.3f\n", c.Group, c.Pairs, c.Of50, c.Of80, c.Of90)
		}
	}
	fmt.Printf("\nread %.2f s, train %.2f s, evaluate %.2f s\n", r.Seconds.Read, r.Seconds.Train, r.Seconds.Evaluate)
}

func interval(i eval.Interval) string { return fmt.Sprintf("%.4f to %.4f", i.Low, i.High) }

func printRepeated(r eval.Repeated) {
	fmt.Printf("%-22s %8s %8s %10s %8s %9s\n", "split", r.Splits[0].Algorithm, "biases", "difference", "NDCG@10", "recall@20")
	for _, s := range r.Splits {
		biases := s.Baselines.BiasOnly.RMSE
		fmt.Printf("seed %-17d %8.4f %8.4f %+10.4f %8.4f %9.4f\n", s.Seed, s.RMSE, biases, s.RMSE-biases, s.NDCG10, s.Recall20)
	}
	fmt.Printf("%-22s %8.4f %8.4f %+10.4f %8.4f %9.4f\n", "mean", r.RMSE.Mean, r.RMSE.Mean-r.Difference.Mean, r.Difference.Mean, r.NDCG10.Mean, r.Recall20.Mean)
	fmt.Printf("%-22s %8.4f %8s %10.4f %8.4f %9.4f\n", "standard error", r.RMSE.StandardError, "", r.Difference.StandardError, r.NDCG10.StandardError, r.Recall20.StandardError)
}

func printReplay(r eval.ReplayResult) {
	fmt.Printf("%s, trained on %d ratings; %d newer, each predicted, then learned\n\n", r.Algorithm, r.TrainRatings, r.TestRatings)
	fmt.Printf("%-34s %8s\n", "", "RMSE")
	fmt.Printf("%-34s %8.4f   90 %% interval %s\n", "users folded in", r.RMSE, interval(r.RMSE90))
	fmt.Printf("%-34s %8.4f\n", "biases alone, learned as they come", r.BiasOnlyRMSE)
	fmt.Printf("%-34s %8.4f   %d of the pairs are cold to it\n", "first model, frozen", r.FrozenRMSE, r.ColdPairs)
	fmt.Printf("%-34s %8.4f   users folded in\n\n", "MAE", r.MAE)
	fmt.Printf("%d trainings, %d users and %d movies folded in\n", r.Trainings, r.FoldedUsers, r.FoldedMovies)
	fmt.Printf("read %.2f s, train %.2f s, predict %.2f s\n", r.Seconds.Read, r.Seconds.Train, r.Seconds.Predict)
}

// tableRows is how many candidates of each head are printed.
const tableRows = 5

func printTuning(t eval.Tuning) {
	if len(t.Ratings) > 0 {
		fmt.Printf("%-10s %6s %9s %6s %6s %11s %8s\n", "ratings", "rank", "λ", "ν", "folds", "iterations", "RMSE")
	}
	for k, trial := range t.Ratings[:min(tableRows, len(t.Ratings))] {
		p := trial.Parameters
		fmt.Printf("%-10s %6d %9.4g %6.4g %6d %11d %8.4f\n", place(k), p.Rank, p.Lambda, p.Nu, trial.Folds, p.Iterations, trial.RMSE)
	}
	if len(t.Ranking) > 0 {
		fmt.Printf("\n%-10s %6s %9s %6s %6s %11s %8s\n", "ranking", "rank", "λ", "α", "folds", "β", "NDCG@10")
	}
	for k, trial := range t.Ranking[:min(tableRows, len(t.Ranking))] {
		p := trial.Parameters.Preference
		fmt.Printf("%-10s %6d %9.4g %6.4g %6d %11.4g %8.4f\n", place(k), p.Rank, p.Lambda, p.Alpha, trial.Folds, p.Beta, trial.NDCG10)
	}
	fmt.Println()
}

func place(k int) string {
	if k == 0 {
		return "chosen"
	}
	return fmt.Sprint(k + 1)
}
