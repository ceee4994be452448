"""What the server imports that forks the processes of the tests: each of them has it all from its start."""

import gc

import pyarrow.parquet  # noqa: F401
import pydantic  # noqa: F401
import scipy.stats  # noqa: F401

import cxrlt_cli.app
import cxrlt_cli.evaluate.evaluate
import cxrlt_cli.labels.merge
import cxrlt_cli.predict.predict
import cxrlt_cli.preprocess.cache
import cxrlt_cli.train.train  # noqa: F401
from cxrlt_cli.encoders.import_timm import import_timm

import_timm()
import tiny_encoder  # noqa: E402, F401

gc.freeze()  # a process that looks for cycles would copy each page of what it shares with the server
