// Package all imports every plugin of recsys-benthos. It is the only list:
// import it to build them into a Benthos of your own.
package all

import (
	_ "github.com/recsys-benthos/recsys-benthos/plugins/als"
	_ "github.com/recsys-benthos/recsys-benthos/plugins/cassandra"
	_ "github.com/recsys-benthos/recsys-benthos/plugins/dashboard"
	_ "github.com/recsys-benthos/recsys-benthos/plugins/deadletter"
	_ "github.com/recsys-benthos/recsys-benthos/plugins/elasticsearch"
	_ "github.com/recsys-benthos/recsys-benthos/plugins/kafka"
	_ "github.com/recsys-benthos/recsys-benthos/plugins/movies"
	_ "github.com/recsys-benthos/recsys-benthos/plugins/otel"
	_ "github.com/recsys-benthos/recsys-benthos/plugins/prometheus"
	_ "github.com/recsys-benthos/recsys-benthos/plugins/ratings"
	_ "github.com/recsys-benthos/recsys-benthos/plugins/recommendhttp"
	_ "github.com/recsys-benthos/recsys-benthos/plugins/sqlite"
)
