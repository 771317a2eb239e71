package dashboard

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/recsys-benthos/recsys-benthos/internal/origin"
)

var serve = flag.Duration("serve", 0, "serve the page with made-up messages for this long, to look at it: go test -run TestServe -serve 10m")

// demoMovies are titles and genres as facts, and titles that would do harm as markup.
var demoMovies = []struct {
	title  string
	genres string
	stars  float64
}{
	{"Shawshank Redemption, The (1994)", `"Crime","Drama"`, 4.4},
	{"Forrest Gump (1994)", `"Comedy","Drama","Romance","War"`, 4.1},
	{"Pulp Fiction (1994)", `"Comedy","Crime","Drama","Thriller"`, 4.2},
	{"Matrix, The (1999)", `"Action","Sci-Fi","Thriller"`, 4.1},
	{"Toy Story (1995)", `"Adventure","Animation","Children","Comedy","Fantasy"`, 3.9},
	{"Star Wars: Episode IV - A New Hope (1977)", `"Action","Adventure","Sci-Fi"`, 4.2},
	{"Dr. Strangelove or: How I Learned to Stop Worrying and Love the Bomb (1964)", `"Comedy","War"`, 4.3},
	{"Casablanca (1942)", `"Drama","Romance"`, 4.2},
	{"Ace Ventura: Pet Detective (1994)", `"Comedy"`, 3.0},
	{"Blair Witch Project, The (1999)", `"Drama","Horror","Thriller"`, 3.1},
	{"Maltese Falcon, The (1941)", `"Film-Noir","Mystery"`, 4.0},
	{"Fantasia (1940)", `"Animation","Children","Fantasy","Musical"`, 3.8},
	{"Hoop Dreams (1994)", `"Documentary"`, 4.0},
	{"Good, the Bad and the Ugly, The (1966)", `"Action","Adventure","Western"`, 4.1},
	{`<img src=x onerror=alert(1)> \"quoted\" {a|b} & 🎬`, `"(no genres listed)"`, 2.5},
	{"Apollo 13 (1995)", `"Adventure","Drama","IMAX"`, 3.8},
}

func demoMessage(n int, at time.Time, rng *rand.Rand) *service.Message {
	movie := min(int(rng.ExpFloat64()*5), len(demoMovies)-1)
	m := demoMovies[movie]
	value := min(max(m.stars+rng.NormFloat64()*.5, .5), 5)
	actual := min(max(float64(int(2*(value+rng.NormFloat64()*.85)+.5))/2, .5), 5)
	cold := ""
	if n%23 == 0 {
		cold = `"user"`
	}
	msg := service.NewMessage(fmt.Appendf(nil, `{"request_id":"events-0-%d","user_id":%d,"movie_id":%d,"prediction":%.4f,"title":"%s","genres":[%s],`+
		`"model_version":"20260102-1504%02d-9f3c","requested_at":%q,"predicted_at":%q,"cold":[%s],"actual":%v,`+
		`"shadows":[{"model_version":"20260101-0900","role":"challenger:previous","prediction":%.4f}]}`,
		n, rng.IntN(610)+1, movie+1, value, m.title, m.genres, n/3000, at.Format(time.RFC3339Nano), at.Format(time.RFC3339Nano), cold, actual, value+rng.NormFloat64()*.3))
	msg.MetaSetMut("kafka_topic", "predictions")
	return msg
}

func demoAnnouncement(version int, at time.Time) *service.Message {
	msg := service.NewMessage(fmt.Appendf(nil, `{"role":"champion","version":"20260102-1504%02d-9f3c","uri":"file:///models","sha256":"","sequence":%d,`+
		`"promoted_at":%q,"metrics":{"rmse":%.4f,"bias_rmse":0.8632,"ratings":%d},"simulated":true,`+
		`"verdict":{"outcome":"undecided","rule":"changed recipe","reason":"too few users","tests":[{"name":"newest ratings","head":"rating","champion":0.8571,"challenger":0.8533,`+
		`"gain":{"low":-0.0012,"high":0.0087},"effective_users":71.4,"decision":"undecided"}]}}`,
		version, version+1, at.Format(time.RFC3339), .856-.002*float64(version), 80_000+2_000*version))
	msg.MetaSetMut("kafka_topic", "models")
	return msg
}

func demoDeadLetter(n int) *service.Message {
	msg := service.NewMessage([]byte(`{"user_id":`))
	for key, value := range map[string]string{
		"kafka_topic": "dead_letters", "kafka_partition": "0", "kafka_offset": fmt.Sprint(n), "component": "rating_event",
		"error": "rating_event: field \"movie_id\": <b>x</b> is not an id; give a whole number such as 514 or \"514\"",
		"topic": "events", "partition": "2", "offset": fmt.Sprint(4000 + n),
	} {
		msg.MetaSetMut(key, value)
	}
	return msg
}

// TestServe is for people: it does nothing without the flag -serve.
func TestServe(t *testing.T) {
	if *serve == 0 {
		t.Skip("for looking at the page: -serve 10m")
	}
	d := newDashboard(config{address: "127.0.0.1:4195", window: 15 * time.Minute, refresh: time.Second, period: time.Minute, title: "Movie recommender", notice: "Simulated ratings"}, origin.New())
	ctx, cancel := context.WithTimeout(context.Background(), *serve)
	defer cancel()
	if err := d.Connect(ctx); err != nil {
		t.Fatal(err)
	}
	defer d.Close(context.Background()) //nolint:errcheck // the test is over
	rng := rand.New(rand.NewPCG(1, 2))
	write := func(messages ...*service.Message) {
		if err := d.WriteBatch(ctx, messages); err != nil {
			t.Error(err)
		}
	}
	n := 0
	for at := time.Now().Add(-11 * time.Minute); at.Before(time.Now()); at = at.Add(50 * time.Millisecond) {
		if n%3000 == 0 {
			write(demoAnnouncement(n/3000, at))
		}
		if n%5000 == 0 {
			write(demoDeadLetter(n / 5000))
		}
		write(demoMessage(n, at, rng))
		n++
	}
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			write(demoMessage(n, time.Now(), rng))
			n++
		}
	}
}
