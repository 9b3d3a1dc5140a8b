# SPDX-License-Identifier: MIT
"""Learns to tell clothes apart, by softmax regression, on batches that a loader
file describes and worker processes compute.

    python3 train.py ../loaders/fashion_mnist.lua [EPOCHS [name=value...]]
"""

import sys
import time

import numpy as np

import neap

PIXELS, CLASSES, RATE = 28 * 28, 10, 0.1


def classify(images, weights):
    """The probability of each class, for each image."""
    scores = images @ weights
    odds = np.exp(scores - scores.max(axis=1, keepdims=True))
    return odds / odds.sum(axis=1, keepdims=True)


def learn(images, labels, weights):
    """One step of descent. Returns the sum of the losses."""
    odds = classify(images, weights)
    rows = np.arange(len(labels))
    loss = -np.log(odds[rows, labels] + 1e-30).sum()
    odds[rows, labels] -= 1
    weights -= RATE / len(labels) * (images.T @ odds)
    return loss


def read(loader):
    """Images, in the slot that a worker filled, and labels of each batch."""
    for item in loader:
        yield np.from_dlpack(item["image"]), item["label"].numpy().astype(int)


def main(path, epochs="5", *words):
    parameters = dict(word.split("=", 1) for word in words)
    weights = np.zeros((PIXELS, CLASSES), np.float32)
    start = time.monotonic()
    with neap.open(path, parameters, split="train") as loader:
        for epoch in range(1, int(epochs) + 1):
            loss = count = 0
            for images, labels in read(loader.epoch(epoch)):
                loss += learn(images, labels, weights)
                count += len(labels)
            print(f"epoch {epoch}: loss {loss / count:.4f}")
        waited, seconds = loader.stats().wait, time.monotonic() - start
    print(f"waited {waited:.2f} of {seconds:.2f} s for data")
    right = count = 0
    with neap.open(path, parameters, split="t10k") as loader:
        for images, labels in read(loader):
            right += (classify(images, weights).argmax(axis=1) == labels).sum()
            count += len(labels)
    print(f"accuracy on the test images: {right / count:.4f}")


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except neap.Error as error:
        sys.exit(f"train.py: {error}")
