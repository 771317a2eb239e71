"""Model files and versions of a registry, as internal/model and internal/registry write them."""
import hashlib
import json
import os
import shutil
import tempfile

import numpy as np

MODEL_FORMAT, REGISTRY_FORMAT = "recsys-benthos/1", 1
TYPES = {"I64": np.dtype("<i8"), "I32": np.dtype("<i4"), "F32": np.dtype("<f4")}


def create(path, shapes, metadata):
    """Makes a file in the safetensors format of tensors by name, (type, shape) each, and returns them mapped for writing."""
    header, end = {"__metadata__": metadata}, 0
    for name, (dtype, shape) in shapes.items():
        size = int(np.prod(shape)) * TYPES[dtype].itemsize
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header, separators=(",", ":"), sort_keys=True).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + end)
    return {name: _mapped(path, header[name], 8 + len(text), "r+") for name in shapes}


def _mapped(path, info, base, mode):
    if int(np.prod(info["shape"])) == 0:
        return np.zeros(info["shape"], TYPES[info["dtype"]])
    return np.memmap(path, TYPES[info["dtype"]], mode, base + info["data_offsets"][0], tuple(info["shape"]))


def read(path):
    """The tensors of a file in the safetensors format, mapped for reading."""
    with open(path, "rb") as file:
        size = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(size))
    return {name: _mapped(path, info, 8 + size, "r") for name, info in header.items() if name != "__metadata__"}


def write_model(path, trained, lam, nu):
    """Writes what was trained, block by block: no more of it than one block and all ids are in memory at once."""
    users, movies = np.sort(trained.ids("users")), np.sort(trained.ids("movies"))
    shapes = {  # as internal/model orders them: 8-byte elements first, so that all are aligned
        "user_ids": ("I64", (len(users),)), "movie_ids": ("I64", (len(movies),)),
        "user_factors": ("F32", (len(users), trained.rank)), "movie_factors": ("F32", (len(movies), trained.rank)),
        "user_bias": ("F32", (len(users),)), "movie_bias": ("F32", (len(movies),)), "mean": ("F32", (1,)),
        "user_counts": ("I32", (len(users),)), "movie_counts": ("I32", (len(movies),))}
    metadata = {"format": MODEL_FORMAT, "lambda": repr(float(lam)), "nu": repr(float(nu)), "rating_min": "0.5", "rating_max": "5"}
    tensors = create(path, shapes, metadata)
    tensors["user_ids"][:], tensors["movie_ids"][:], tensors["mean"][:] = users, movies, trained.mean
    for side, ids in (("user", users), ("movie", movies)):
        for block_ids, counts, bias, factors in trained.blocks(side + "s"):
            at = np.searchsorted(ids, block_ids)
            tensors[side + "_bias"][at], tensors[side + "_factors"][at], tensors[side + "_counts"][at] = bias, factors, counts
    for tensor in tensors.values():
        if isinstance(tensor, np.memmap):
            tensor.flush()
    return len(users), len(movies)


def sha256(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() if hasattr(hashlib, "file_digest") else _sha256(file)


def _sha256(file):  # before Python 3.11
    digest = hashlib.sha256()
    for part in iter(lambda: file.read(1 << 20), b""):
        digest.update(part)
    return digest.hexdigest()


def publish(spark, url, model_path, manifest, version=None):
    """Stores a model and then its manifest, whose presence makes the version complete. It gets no role."""
    created = manifest["created_at"]
    manifest["sha256"], manifest["bytes"] = sha256(model_path), os.path.getsize(model_path)
    manifest["version"] = version or created.strftime("%Y%m%d-%H%M%S-") + manifest["sha256"][:6]
    manifest["created_at"], manifest["format"] = created.strftime("%Y-%m-%dT%H:%M:%S.%fZ"), REGISTRY_FORMAT
    folder = "models/" + manifest["version"]
    bucket = open_bucket(spark, url)
    bucket.create(folder + "/model.safetensors", model_path)
    with tempfile.NamedTemporaryFile("w", suffix=".json") as text:
        text.write(json.dumps(manifest, indent=2) + "\n")
        text.flush()
        bucket.create(folder + "/manifest.json", text.name)
    return manifest["version"]


def open_bucket(spark, url):
    scheme, separator, path = url.partition("://")
    if not separator or scheme == "file":
        return LocalBucket(path if separator else url)
    return HadoopBucket(spark, ("s3a://" if scheme == "s3" else scheme + "://") + path.split("?")[0])


TEMPORARY = ".tmp-"  # what models verify takes for a leftover, and models prune removes


class LocalBucket:
    """A registry on the driver's file system: durable, and decided by a link, as the folder of internal/registry."""

    def __init__(self, root):
        self.root = root

    def create(self, key, source):
        final = os.path.join(self.root, key)
        folder = os.path.dirname(final)
        os.makedirs(folder, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=TEMPORARY, dir=folder)
        try:
            with os.fdopen(handle, "wb") as file, open(source, "rb") as content:
                shutil.copyfileobj(content, file, 1 << 20)
                os.fchmod(file.fileno(), 0o644)
                file.flush()
                os.fsync(file.fileno())
            os.link(temporary, final)
        except FileExistsError as error:
            raise SystemExit(f"publishing {final}: it is there already; versions are never changed") from error
        finally:
            os.unlink(temporary)
        for parent in (folder, os.path.dirname(folder), self.root):
            opened = os.open(parent, os.O_RDONLY)
            os.fsync(opened)
            os.close(opened)


class HadoopBucket:
    """A registry on whatever Spark reaches: s3a://, hdfs:// and so on, by Hadoop's own file systems."""

    def __init__(self, spark, root):
        self.jvm, self.root = spark._jvm, root
        self.path = self.jvm.org.apache.hadoop.fs.Path
        self.files = self.path(root).getFileSystem(spark._jsc.hadoopConfiguration())
        self.files.setWriteChecksum(False)  # no .crc beside each file
        # An object store shows what is written as a whole, and copies to rename.
        self.renames = root.split("://")[0] not in ("s3a", "gs", "abfs", "abfss", "wasb", "wasbs")

    def create(self, key, source):
        final = self.path(self.root.rstrip("/") + "/" + key)
        if self.files.exists(final):
            raise SystemExit(f"publishing {final}: it is there already; versions are never changed")
        if not self.renames:
            self.files.copyFromLocalFile(False, False, self.path("file://" + os.path.abspath(source)), final)
            return
        temporary = self.path(final.getParent(), TEMPORARY + final.getName())
        self.files.copyFromLocalFile(False, True, self.path("file://" + os.path.abspath(source)), temporary)
        if not self.files.rename(temporary, final):
            raise SystemExit(f"publishing {final}: renaming {temporary} did not succeed; look whether another wrote it meanwhile")
