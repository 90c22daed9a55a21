"""What scikit-dimension makes of its benchmark manifolds: `peers.py FOLDER ROWS SEED` writes FOLDER/peers.json.

Each manifold is drawn once, without noise, and written to FOLDER/NAME.npy, so that others can look at the same rows.
Neighbourhoods have the sizes that `mflow dim` has in its curves.
"""

import json
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import skdim

NEIGHBOURS = 16
NEIGHBOURS_OF_PCA = 64

ESTIMATORS = {
    "two-nn": lambda x: skdim.id.TwoNN().fit(x).dimension_,
    # The harmonic mean over rows, which is MacKay's.
    "levina-bickel": lambda x: skdim.id.MLE().fit(x, n_neighbors=NEIGHBOURS, comb="mle").dimension_,
    "correlation": lambda x: skdim.id.CorrInt(k1=NEIGHBOURS // 2, k2=NEIGHBOURS).fit(x).dimension_,
    # By itself it would look at all rows at once, which is not local.
    "local-pca": lambda x: np.mean(skdim.id.lPCA(ver="FO").fit_pw(x, n_neighbors=NEIGHBOURS_OF_PCA).dimension_pw_),
}


def main():
    folder, rows, seed = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    warnings.simplefilter("ignore")  # of copies with other headers in its own code
    manifolds = skdim.datasets.BenchmarkManifolds(random_state=seed)
    records = []
    for name, x in manifolds.generate(n=rows).items():
        np.save(folder / f"{name}.npy", np.ascontiguousarray(x, dtype=np.float64))
        truth = manifolds.truth.loc[name]
        estimates, seconds = {}, {}
        for key, estimate in ESTIMATORS.items():
            start = time.perf_counter()
            estimates[key] = float(estimate(x))
            seconds[key] = time.perf_counter() - start
        records.append({
            "name": name,
            "dimension": int(truth["Intrinsic Dimension"]),
            "columns": int(x.shape[1]),
            "estimates": estimates,
            "seconds": seconds,
        })
        print(name, estimates, flush=True)
    (folder / "peers.json").write_text(json.dumps(records))


main()
