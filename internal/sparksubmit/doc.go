// Package sparksubmit trains on Spark. It launches the job of the folder spark by
// spark-submit, as a child in a process group of its own, follows what that prints,
// and takes over the model that it wrote into a staging registry on this machine,
// where the driver runs (deploy mode client). Nothing is written anywhere else: a
// driver that dies leaves the registry of versions as it was.
package sparksubmit
