"""What scikit-dimension makes of its benchmark manifolds: `peers.py FOLDER ROWS SEED` writes FOLDER/peers.json.

Each manifold is drawn once, without noise, and written to FOLDER/NAME.npy, so that others can look at the same rows.
FOLDER/NAME.json keeps what was found of it: where that is there already, as after an interruption, it is not repeated.
Neighbourhoods have the sizes that `mflow dim` has in its curves.
"""

import json
import sys
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
        kept = folder / f"{name}.json"
        if not kept.exists():
            np.save(folder / f"{name}.npy", np.ascontiguousarray(x, dtype=np.float64))
            record = {
                "name": name,
                "dimension": int(manifolds.truth.loc[name, "Intrinsic Dimension"]),
                "columns": int(x.shape[1]),
                "estimates": {key: float(estimate(x)) for key, estimate in ESTIMATORS.items()},
            }
            kept.write_text(json.dumps(record))
            print(record, flush=True)
        records.append(json.loads(kept.read_text()))
    (folder / "peers.json").write_text(json.dumps(records))


main()
