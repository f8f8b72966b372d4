"""The pages in their order: name in the address → title and icon."""

TITLES = {
    "matches": ("Matches", ":material/search:"),
    "sandbox": ("Few-shot sandbox", ":material/science:"),
    "pair": ("Pair", ":material/compare:"),
    "verification": ("Verification", ":material/verified:"),
    "map": ("Map", ":material/scatter_plot:"),
    "audit": ("Audit", ":material/fact_check:"),
    "runs": ("Runs and sweeps", ":material/monitoring:"),
    "welcome": ("Start", ":material/waving_hand:"),
}
