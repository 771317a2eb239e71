package ratings

// Offsets are, by topic and partition, the offset before which every event was
// taken in. The nil value is that of none.
type Offsets map[string]map[int32]int64

// Advance raises the offset of a partition to next, if it is below, and returns o,
// which it makes where there is none.
func (o Offsets) Advance(topic string, partition int32, next int64) Offsets {
	if o == nil {
		o = Offsets{}
	}
	if o[topic] == nil {
		o[topic] = map[int32]int64{}
	}
	if next > o[topic][partition] {
		o[topic][partition] = next
	}
	return o
}
