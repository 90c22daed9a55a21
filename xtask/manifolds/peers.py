"""What methods of scikit-learn make of a manifold: `peers.py METHOD FOLDER DIM SEED` prints JSON.

Each method learns codes of DIM numbers and a way back from FOLDER/train/x.npy. `error` is the root mean square
distance of the rows of FOLDER/test/x.npy to what comes back of them, over the spread of the training rows: the
root of their summed variances. `seconds` is the time of the fit.
"""

import json
import sys
import time
import warnings
from itertools import product

import numpy as np
from sklearn.decomposition import PCA, KernelPCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.manifold import Isomap
from sklearn.neighbors import KNeighborsRegressor
from sklearn.neural_network import MLPRegressor

# Kernel PCA and Isomap keep a number for each pair of rows, and take time that grows with the cube.
PAIRED_ROWS = 4000


def pca(x, dim, seed):
    model = PCA(dim, random_state=seed).fit(x)
    return lambda rows: model.inverse_transform(model.transform(rows))


def kernel_pca(x, dim, seed):
    """The width of the kernel and the ridge of the way back are those that bring a tenth of the rows back best."""
    x = x[:PAIRED_ROWS]
    variance = x.var(axis=0).sum()

    def fit(rows, scale, alpha):
        model = KernelPCA(
            dim, kernel="rbf", gamma=scale / variance, alpha=alpha,
            fit_inverse_transform=True, random_state=seed,
        ).fit(rows)
        return lambda rows: model.inverse_transform(model.transform(rows))

    few = x[: min(len(x), 1000)]
    held_out, rest = few[: len(few) // 10], few[len(few) // 10 :]

    def loss(settings):
        return ((fit(rest, *settings)(held_out) - held_out) ** 2).sum()

    return fit(x, *min(product([0.1, 0.5, 2.0, 8.0], [1e-4, 1e-2, 1.0]), key=loss))


def isomap(x, dim, seed):
    """The way back is the mean of the 5 rows with the nearest codes, the nearer the more."""
    x = x[:PAIRED_ROWS]
    model = Isomap(n_neighbors=10, n_components=dim).fit(x)
    back = KNeighborsRegressor(5, weights="distance").fit(model.embedding_, x)
    return lambda rows: back.predict(model.transform(rows))


def autoencoder(x, dim, seed):
    model = MLPRegressor(
        hidden_layer_sizes=(64, 64, dim, 64, 64), activation="tanh", max_iter=500,
        early_stopping=True, n_iter_no_change=20, random_state=seed,
    ).fit(x, x)
    return model.predict


METHODS = {"pca": pca, "kernel-pca": kernel_pca, "isomap": isomap, "autoencoder": autoencoder}


def main():
    method, folder, dim, seed = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    # That a graph falls into pieces, or that the last epoch was still better, is no error.
    warnings.simplefilter("ignore", ConvergenceWarning)
    warnings.simplefilter("ignore", UserWarning)
    train, test = (np.load(f"{folder}/{part}/x.npy") for part in ["train", "test"])
    mean, deviation = train.mean(axis=0), train.std(axis=0)
    deviation[deviation < 1e-12] = 1.0
    start = time.perf_counter()
    reconstruct = METHODS[method]((train - mean) / deviation, dim, seed)
    seconds = time.perf_counter() - start
    found = reconstruct((test - mean) / deviation) * deviation + mean
    spread = np.sqrt(train.var(axis=0).sum())
    error = np.sqrt(((found - test) ** 2).sum(axis=1).mean()) / spread
    print(json.dumps({"error": error, "seconds": seconds}))


if __name__ == "__main__":
    main()
