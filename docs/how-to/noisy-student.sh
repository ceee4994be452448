#!/usr/bin/env bash
# Noisy-student rounds (Xie, Luong, Hovy, Le; CVPR 2020) for labels that a source lacks, in the workspace that is the current
# folder (or CXRLT_WORKSPACE), with its cached sources and label embeddings:
#
#   bash noisy-student.sh ROUNDS [TRAINING FLAG ...]        as in: bash noisy-student.sh 2 --encoder resnet50 --epochs 20
#
# The teacher of round 0 leaves unknown labels out. In each round it scores the training images, undisturbed and in two views;
# its scores stand in for the labels that nobody gave, in training only; and the student that learns from them, with noise
# (MixUp, CutMix, smoothing), is the next teacher. Validation and test keep their labels and patients: the split depends on
# the seed of merge alone. NOISE and MERGE may be set to other flags.
set -euo pipefail
rounds=$1; shift
merge=(cxrlt merge --blank absent ${MERGE:-} --overwrite)
noise=(${NOISE:---mixup 0.2 --cutmix 1 --label-smoothing 0.05})

"${merge[@]}" --missing ignore
cxrlt train --name round-0 "$@"
for ((round = 1; round <= rounds; round++)); do
    cxrlt predict "round-$((round - 1))" --split train --tta 2 --name teacher --overwrite
    "${merge[@]}" --missing pseudo --pseudo "${CXRLT_WORKSPACE:-.}/predictions/teacher.parquet"
    cxrlt train --name "round-$round" "${noise[@]}" "$@"
done
for ((round = 0; round <= rounds; round++)); do
    cxrlt predict "round-$round" --name "round-$round"
    cxrlt evaluate "round-$round"
done
