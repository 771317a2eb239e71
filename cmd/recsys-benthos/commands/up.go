package commands

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode"

	"github.com/urfave/cli/v2"

	"github.com/recsys-benthos/recsys-benthos/internal/broker"
)

func upCommand() *cli.Command {
	return &cli.Command{
		Name:  "up",
		Usage: "Run the whole recommender on this machine: broker, pipelines, training, live page",
		Description: `Gets MovieLens, starts the embedded Kafka broker, and runs every pipeline: ratings stream in, models are trained and
swapped, requests become predictions, and the live page shows it all. Ctrl-C stops; the same command goes on where it was.

In a folder that has pipelines/ and config/ (see init) those are run, else the ones inside the binary.

  recsys-benthos up
  recsys-benthos up --data ./ml-latest-small --rate 500
  recsys-benthos up --until-predictions 5000 --json`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "data", Usage: "MovieLens folder or archive (default: a copy in the state folder, else a download)", EnvVars: []string{"RECSYS_DATA"}},
			stateFlag(),
			&cli.Float64Flag{Name: "rate", Usage: "live events a second, 0 for as fast as possible", Value: 50},
			&cli.Float64Flag{Name: "history", Usage: "share of the events, by time, that is published at full speed first", Value: 0.8},
			&cli.IntFlag{Name: "retrain", Usage: "new ratings after which a model is trained", Value: 2000},
			&cli.StringFlag{Name: "listen", Usage: "address of the live page", Value: "127.0.0.1:4195"},
			&cli.StringFlag{Name: "admin", Usage: "loopback address of Benthos's admin server (default: 127.0.0.1:4196, else a free port)"},
			&cli.StringFlag{Name: "broker", Usage: "loopback address of the Kafka broker (default: 127.0.0.1:9092, else a free port)"},
			&cli.Int64Flag{Name: "until-predictions", Usage: "stop by itself after this many predictions"},
			&cli.DurationFlag{Name: "for", Usage: "stop by itself after this time"},
			&cli.BoolFlag{Name: "quiet", Usage: "no progress"},
			&cli.BoolFlag{Name: "json", Usage: "progress and summary as JSON lines"},
		},
		Action: func(c *cli.Context) error {
			boundMemory()
			if err := noArguments(c); err != nil {
				return err
			}
			u, err := newUp(c)
			if err != nil {
				return err
			}
			return u.run()
		},
	}
}

// up is one run of everything on this machine.
type up struct {
	data, state              string
	listen, admin, broker    string
	rate, history            float64
	retrain                  int
	untilPredictions         int64
	duration                 time.Duration
	report                   *reporter
	started                  time.Time
	stopsByItself, simulated bool
}

// maxRate is more events a second than this machine can play.
const maxRate = 10_000_000

func newUp(c *cli.Context) (*up, error) {
	u := &up{
		data: c.String("data"), state: c.String("state"),
		listen: c.String("listen"), admin: c.String("admin"), broker: c.String("broker"),
		rate: c.Float64("rate"), history: c.Float64("history"), retrain: c.Int("retrain"),
		untilPredictions: c.Int64("until-predictions"), duration: c.Duration("for"),
		report: newReporter(c.Bool("quiet"), c.Bool("json")), started: time.Now(),
	}
	switch {
	case !(u.rate >= 0 && u.rate <= maxRate):
		return nil, usagef("--rate %v is not between 0 and %d; give events a second, or 0 for as fast as possible", u.rate, maxRate)
	case !(u.history >= 0 && u.history <= 1):
		return nil, usagef("--history %v does not lie between 0 and 1", u.history)
	case u.retrain < 1:
		return nil, usagef("--retrain %d is less than 1", u.retrain)
	case u.untilPredictions < 0:
		return nil, usagef("--until-predictions %d is negative", u.untilPredictions)
	case u.duration < 0:
		return nil, usagef("--for %s is negative", u.duration)
	}
	u.stopsByItself = u.untilPredictions > 0 || u.duration > 0
	return u, nil
}

// run brings everything up, waits for the end, and takes it down in order.
func (u *up) run() error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := os.MkdirAll(u.state, 0o755); err != nil {
		return fmt.Errorf("creating the state folder: %w", err)
	}
	b, err := u.openBroker() // first: it holds the lock on the state folder
	if err != nil {
		return err
	}
	defer b.Close()
	if err := u.chooseAddresses(); err != nil {
		return err
	}
	data, err := u.findData(ctx)
	if err != nil {
		return err
	}
	u.simulated = data.simulated
	if err := u.checkState(data); err != nil {
		return err
	}
	folder, err := u.configuration()
	if err != nil {
		return err
	}
	if err := u.setEnvironment(data, b.Addr()); err != nil {
		return err
	}
	monitor, err := newMonitor(ctx, b.Addr())
	if err != nil {
		return err
	}
	defer monitor.close()
	u.report.say("starting", "page", "http://"+u.listen+"/", "broker", b.Addr(), "admin", "http://"+u.admin+"/", "state", u.state, "data", data.description)
	return u.serve(ctx, folder, data, monitor)
}

// chooseAddresses settles where the page and the admin server listen, and finds
// out early that the page's port is taken.
func (u *up) chooseAddresses() (err error) {
	page := u.listen
	u.listen, err = freeAddress(page)
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("the live page's address %s is in use by another program; stop that, or give another with --listen", page)
	}
	if err != nil {
		return fmt.Errorf("--listen %s: %w", page, err)
	}
	if u.admin != "" {
		if host, _, err := net.SplitHostPort(u.admin); err != nil || !isLoopback(host) {
			return fmt.Errorf("--admin %s is not a loopback address such as 127.0.0.1:4196: the admin server can change the pipelines", u.admin)
		}
		if u.admin == u.listen {
			return fmt.Errorf("--admin and --listen are the same address, %s; give each its own", u.listen)
		}
		if u.admin, err = freeAddress(u.admin); err != nil {
			return fmt.Errorf("--admin: %w", err)
		}
		return nil
	}
	if u.admin, err = freeAddress("127.0.0.1:4196"); err != nil {
		u.admin, err = freeAddress("127.0.0.1:0")
	}
	return err
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// freeAddress returns the address, with a free port in place of port 0, or an
// error if nobody can listen there.
func freeAddress(address string) (string, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return "", err
	}
	defer l.Close()
	host, port, err := net.SplitHostPort(address)
	if err != nil || port != "0" {
		return address, err
	}
	return net.JoinHostPort(host, strconv.Itoa(l.Addr().(*net.TCPAddr).Port)), nil
}

// openBroker starts the broker on the given address, or on the usual one, or,
// if that is taken and none was asked for, on a free one.
func (u *up) openBroker() (*broker.Broker, error) {
	if u.broker != "" {
		return openBroker(u.state, u.broker, broker.DefaultMaxBytes)
	}
	b, err := openBroker(u.state, broker.DefaultAddress, broker.DefaultMaxBytes)
	if errors.Is(err, broker.ErrAddressInUse) {
		return openBroker(u.state, "127.0.0.1:0", broker.DefaultMaxBytes)
	}
	return b, err
}

// configuration returns the folder that holds pipelines/ and config/: the
// current one if it has both, else one in the state folder with the binary's.
func (u *up) configuration() (string, error) {
	if isFolder("pipelines") && isFolder("config") {
		return ".", nil
	}
	folder := filepath.Join(u.state, "configuration")
	_, err := writeConfiguration(folder, true)
	return folder, err
}

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// setEnvironment gives the pipelines what their ${VARIABLES} ask for. It is all
// that up tells them, so that the standard commands can do the same.
func (u *up) setEnvironment(data dataSource, brokers string) error {
	variables := map[string]string{
		"KAFKA_BROKERS":    brokers,
		"RECSYS_STATE":     u.state,
		"RECSYS_DATA":      data.path,
		"RECSYS_MOVIES":    data.path,
		"RECSYS_SOURCE":    data.description,
		"RECSYS_SIMULATED": strconv.FormatBool(data.simulated),
		"RECSYS_NOTICE":    data.notice,
		"RECSYS_RATE":      strconv.FormatFloat(u.rate, 'f', -1, 64),
		"RECSYS_HISTORY":   strconv.FormatFloat(u.history, 'f', -1, 64),
		"RECSYS_RETRAIN":   strconv.Itoa(u.retrain),
		"RECSYS_LISTEN":    u.listen,
		"RECSYS_EVALUATE":  "true",
		"RECSYS_ADMIN":     u.admin,
	}
	if os.Getenv("RECSYS_REGISTRY") == "" {
		variables["RECSYS_REGISTRY"] = "file://" + filepath.ToSlash(filepath.Join(u.state, "registry"))
	}
	if os.Getenv("LOG_LEVEL") == "" {
		variables["LOG_LEVEL"] = "WARN"
	}
	for name, value := range variables {
		if strings.ContainsFunc(value, func(r rune) bool { return r == '\\' || unicode.IsControl(r) }) {
			return fmt.Errorf("%q has a backslash or a control character, which configuration cannot carry; give a folder without", value)
		}
		if err := os.Setenv(name, yamlEscaper.Replace(value)); err != nil {
			return err
		}
	}
	return nil
}

// yamlEscaper makes text fit between the double quotes that the configuration
// has around every ${VARIABLE} of text: variables are put in before YAML is read.
var yamlEscaper = strings.NewReplacer(`"`, `\"`)

// serve runs the pipelines as `recsys-benthos streams` does, until a signal
// comes or the run is over.
func (u *up) serve(ctx context.Context, folder string, data dataSource, monitor *monitor) error {
	// Benthos logs to standard output, which is the summary's alone.
	stdout := os.Stdout
	os.Stdout = os.Stderr
	stopped := make(chan error, 1)
	go func() {
		code, err := runCLI([]string{
			"recsys-benthos", "streams",
			"-o", filepath.Join(folder, "config", "service.yaml"),
			"-r", filepath.Join(folder, "config", "embedded.yaml"),
			filepath.Join(folder, "pipelines"),
		})
		if err == nil && code != 0 {
			err = fmt.Errorf("the pipelines ended with code %d", code)
		}
		stopped <- err
	}()
	watching, endWatch := context.WithCancel(context.WithoutCancel(ctx))
	defer endWatch()
	watched := make(chan error, 1)
	go func() { watched <- u.watch(watching, ctx, data, monitor) }()
	var problem error
	select {
	case err := <-stopped: // by a signal, or because it could not start
		endWatch()
		<-watched
		u.report.end()
		switch {
		case err != nil:
			return err
		case ctx.Err() == nil:
			return errors.New("the pipelines stopped by themselves")
		}
	case problem = <-watched: // the run is over
		// A signal is how Benthos is asked to drain and stop.
		if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
			return err
		}
		if err := <-stopped; err != nil {
			return err
		}
		u.report.end()
	}
	os.Stdout = stdout
	if u.stopsByItself || u.report.json {
		if err := printJSON(u.summary(monitor)); err != nil {
			return err
		}
	}
	return problem
}
