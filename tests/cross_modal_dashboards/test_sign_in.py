"""Who is asked to sign in, and who is let through."""

from streamlit.testing.v1 import AppTest


def page() -> AppTest:
    def script() -> None:
        import streamlit as st

        from cross_modal_dashboards.sign_in import require_sign_in

        require_sign_in()
        st.write("matches")

    return AppTest.from_function(script)


def test_without_a_provider_nobody_is_asked() -> None:
    assert [each.value for each in page().run().markdown] == ["matches"]


def test_with_a_provider_a_stranger_sees_a_button_and_no_page() -> None:
    test = page()
    test.secrets["auth"] = {"redirect_uri": "https://explorer.example.org/oauth2callback", "cookie_secret": "x"}
    test.run()
    assert [each.label for each in test.button] == ["Sign in"]
    assert "matches" not in [each.value for each in test.markdown]


def test_other_secrets_ask_for_no_sign_in() -> None:
    test = page()
    test.secrets["database"] = {"password": "x"}
    assert [each.value for each in test.run().markdown] == ["matches"]
