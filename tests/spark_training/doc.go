// Package sparktraining tests the training job of the folder spark, and the engine
// that launches it, with real PySpark:
//
//	go test -tags spark ./tests/spark_training
package sparktraining
