"""Rules of classifiers of XGBoost, LightGBM and CatBoost."""

from __future__ import annotations

import json
from typing import Any

from .._elementwise import log_expit
from .._namespace import Array
from .links import linked
from .rule import Rule


def _xgboost(estimator: Any, X: Any) -> Array:
    margins = estimator.predict(X, output_margin=True)
    return log_expit(margins) if _has_labels(estimator) else linked(margins)


def _has_labels(estimator: Any) -> bool:
    """Tell by the number of targets: `classes_` are those of any of the labels."""
    learner = json.loads(estimator.get_booster().save_config())["learner"]
    return int(learner["learner_model_param"]["num_target"]) > 1


def _lightgbm(estimator: Any, X: Any) -> Array:
    scores = estimator.predict_proba(X, raw_score=True)
    steepness = estimator.booster_.params.get("sigmoid", 1.0)
    return linked(scores * steepness if scores.ndim == 1 else scores)


def _is_boosted(estimator: Any) -> bool:
    """Tell whether raw scores of LightGBM are sums, and not means as of a random forest."""
    params = estimator.booster_.params
    return bool(params.get("boosting", params.get("boosting_type")) != "rf")


def _catboost(estimator: Any, X: Any) -> Array:
    return linked(estimator.predict(X, prediction_type="RawFormulaVal"))


def _loss_of_catboost(estimator: Any) -> str:
    return str(estimator.get_all_params().get("loss_function"))


RULES: dict[str, Rule] = {
    "xgboost.XGBClassifier": Rule(
        _xgboost,
        "logistic function or softmax of its margins",
        ("predict",),
        serves=lambda e: e.objective in ("binary:logistic", "multi:softprob", "multi:softmax"),
        labels=_has_labels,
    ),
    "lightgbm.LGBMClassifier": Rule(
        _lightgbm,
        "logistic function or softmax of its raw scores",
        serves=lambda e: e.objective_ in ("binary", "multiclass") and _is_boosted(e),
    ),
    "catboost.CatBoostClassifier": Rule(
        _catboost,
        "logistic function or softmax of its raw values",
        ("predict",),
        serves=lambda e: _loss_of_catboost(e) in ("Logloss", "CrossEntropy", "MultiClass"),
    ),
}
