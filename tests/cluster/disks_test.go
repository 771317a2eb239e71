//go:build cluster

package cluster

import (
	"errors"
	"os"

	"github.com/recsys-benthos/recsys-benthos/tests/faults"
)

// disks are those of the last node of Kafka, Cassandra and Elasticsearch; none
// exist if the nodes' data are where all others' are.
type disks [3]*faults.Disk

// diskBytes is enough for a few tests.
const diskBytes = 1 << 30

func newDisks(folder func() string) (d disks, err error) {
	for i := range d {
		if d[i], err = faults.NewDisk(folder(), diskBytes); err != nil {
			return d, errors.Join(err, d.close())
		}
	}
	return d, nil
}

func (d disks) exist() bool { return d[0] != nil }

// folders is where the nodes of a server have their data, by node.
func (d disks) folders(server int) []string {
	if !d.exist() {
		return nil
	}
	// A file system's own folder may hold more than the data.
	folder := d[server].Folder + "/data"
	_ = os.Mkdir(folder, 0o777)
	return []string{"", "", folder}
}

// elasticsearch has it look at its disks, as it does by default, and often.
func (d disks) elasticsearch() map[string]string {
	if !d.exist() {
		return nil
	}
	return map[string]string{
		"cluster.routing.allocation.disk.threshold_enabled":     "true",
		"cluster.routing.allocation.disk.watermark.low":         "20mb", // of what is left: the machine's own disk may be rather full
		"cluster.routing.allocation.disk.watermark.high":        "15mb",
		"cluster.routing.allocation.disk.watermark.flood_stage": "10mb",
		"cluster.info.update.interval":                          "10s",
	}
}

func (d disks) close() error {
	var errs []error
	for _, disk := range d {
		if disk != nil {
			errs = append(errs, disk.Close())
		}
	}
	return errors.Join(errs...)
}
