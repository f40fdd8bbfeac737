#!/usr/bin/env python3
"""CIFAR-10's JPEG pictures (train/CLASS/*.jpg and test/CLASS/*.jpg, a folder or a tar file of them) as the binary files
of the published archive, so that daybreak and PyTorch read the same bytes. Needs Pillow.

Labels are numbered as in data/cifar10.yaml; the pictures of all classes are mixed, always in the same order.
--train and --test take so many pictures, as many of each class.
"""
import argparse
import io
import pathlib
import random
import sys
import tarfile

CLASSES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
BATCHES = 5  # files of the training part
SIDE = 32
RECORD = 1 + 3 * SIDE * SIDE  # label, then the planes R, G, B


class BadPictures(Exception):
    """What is wrong with the source, in one line."""


def read_source(source):
    """{"train" or "test": [(class, name, JPEG bytes)]}, sorted by name."""
    source, parts = pathlib.Path(source), {"train": [], "test": []}

    def take(path, content):
        if len(path) < 3 or path[-3] not in parts or not path[-1].endswith(".jpg"):
            return
        if path[-2] not in CLASSES:
            raise BadPictures(f'{"/".join(path)}: "{path[-2]}" is no class of CIFAR-10')
        parts[path[-3]].append((CLASSES.index(path[-2]), path[-1], content()))

    if source.is_dir():
        for file in source.glob("*/*/*.jpg"):
            take(file.parts, file.read_bytes)
    else:
        with tarfile.open(source) as tar:
            for member in tar:
                if member.isfile():
                    take(member.name.split("/"), lambda m=member: tar.extractfile(m).read())
    for part, pictures in parts.items():
        if not pictures:
            raise BadPictures(f"{source}: has no {part}/CLASS/*.jpg")
        pictures.sort(key=lambda picture: picture[:2])
    return parts


def chosen(pictures, limit):
    """All pictures, or `limit` of them, as many of each class; mixed."""
    if limit:
        seen, least = [0] * len(CLASSES), -(-limit // len(CLASSES))
        kept = []
        for picture in pictures:
            seen[picture[0]] += 1
            if seen[picture[0]] <= least:
                kept.append(picture)
        pictures = kept
    pictures = list(pictures)
    random.Random(1).shuffle(pictures)
    return pictures[:limit or len(pictures)]


def record(label, name, jpeg):
    """Label and planes of a picture."""
    from PIL import Image, UnidentifiedImageError
    try:
        image = Image.open(io.BytesIO(jpeg)).convert("RGB")
    except (OSError, UnidentifiedImageError) as error:
        raise BadPictures(f"{CLASSES[label]}/{name}: {error}") from error
    if image.size != (SIDE, SIDE):
        raise BadPictures(f"{CLASSES[label]}/{name}: is {image.width}x{image.height}, not {SIDE}x{SIDE}")
    return bytes([label]) + b"".join(plane.tobytes() for plane in image.split())


def convert(source, target, train=0, test=0):
    """Writes the files into the folder `target`; returns how many pictures of both parts. All or nothing: the folder
    appears when it is complete."""
    parts = read_source(source)
    target = pathlib.Path(target)
    unfinished = target.with_name(target.name + ".tmp")
    unfinished.mkdir(parents=True, exist_ok=True)
    pictures = chosen(parts["train"], train)
    each = -(-len(pictures) // BATCHES)
    for i in range(BATCHES):
        write(unfinished / f"data_batch_{i + 1}.bin", pictures[i * each:(i + 1) * each])
    tests = chosen(parts["test"], test)
    write(unfinished / "test_batch.bin", tests)
    (unfinished / "batches.meta.txt").write_text("\n".join(CLASSES) + "\n", encoding="ascii")
    unfinished.rename(target)
    return len(pictures), len(tests)


def write(path, pictures):
    with open(path, "wb") as file:
        for picture in pictures:
            file.write(record(*picture))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", help="folder or tar file")
    parser.add_argument("target", help="folder to make, such as cifar-10-batches-bin")
    parser.add_argument("--train", type=int, default=0, help="so many training pictures (default: all)")
    parser.add_argument("--test", type=int, default=0, help="so many test pictures (default: all)")
    args = parser.parse_args()
    try:
        train, test = convert(args.source, args.target, args.train, args.test)
    except (BadPictures, OSError, tarfile.TarError, ImportError) as error:
        print(f"cifar_files: {error}", file=sys.stderr)
        return 4
    print(f"{args.target}: {train} + {test} pictures")
    return 0


if __name__ == "__main__":
    sys.exit(main())
