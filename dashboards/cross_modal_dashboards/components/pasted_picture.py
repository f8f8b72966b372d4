"""A field into which a picture is pasted: Streamlit's own takes files and cameras, and no clipboard.

The picture comes as a data URI; what it holds is verified like any upload (`uploaded_picture.checked_picture`).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from functools import cache
from typing import Any

import streamlit as st

from cross_modal_dashboards.server import UPLOAD_MEGABYTES

CSS = """
.paste{box-sizing:border-box;width:100%;min-height:2.6rem;padding:.5rem .75rem;border-radius:.5rem;cursor:text;
  border:1px dashed var(--st-border-color);background:var(--st-secondary-background-color);color:var(--st-text-color);
  font-family:var(--st-font);font-size:.9rem;display:flex;align-items:center;gap:.6rem}
.paste:focus-visible,.paste:focus{outline:3px solid var(--st-primary-color);outline-offset:1px}
.paste img{max-height:4rem;max-width:8rem;object-fit:contain}
button{all:unset;cursor:pointer;text-decoration:underline}
button:focus-visible{outline:3px solid var(--st-primary-color)}
button[hidden]{display:none}
"""
HTML = """
<div class="paste" tabindex="0" role="textbox" aria-label="Paste a picture here">
  <span class="says">Click here and paste a picture</span><button type="button" hidden>remove</button>
</div>
"""
JS = """
export default ({data, parentElement, setStateValue}) => {
  const field = parentElement.querySelector('.paste'), says = field.querySelector('.says')
  const remove = field.querySelector('button')
  const show = picture => {
    field.querySelector('img')?.remove(); remove.hidden = !picture
    says.textContent = picture ? 'Pasted' : 'Click here and paste a picture'
    if (picture) { const image = new Image(); image.alt = 'pasted picture'; image.src = picture; field.prepend(image) }
  }
  field.onpaste = event => {
    event.preventDefault()
    const file = [...event.clipboardData.files].find(each => each.type.startsWith('image/'))
    if (!file) { says.textContent = 'The clipboard holds no picture'; return }
    if (file.size > data.most) { says.textContent = `Larger than ${data.most >> 20} MB`; return }
    const reader = new FileReader()
    reader.onload = () => { show(reader.result); setStateValue('picture', reader.result) }
    reader.readAsDataURL(file)
  }
  remove.onclick = () => { show(null); setStateValue('picture', null) }
}
"""


@cache
def _component() -> Callable[..., Any]:
    return st.components.v2.component("cross_modal_paste", html=HTML, css=CSS, js=JS)


def pasted_picture(key: str) -> bytes | None:
    """Shows the field.

    Args:
        key: The component's key on the page.

    Returns:
        What was pasted, unverified; None where nothing was.
    """
    result = _component()(
        key=key, data={"most": UPLOAD_MEGABYTES << 20}, default={"picture": None}, on_picture_change=lambda: None
    )
    return content_of(result.get("picture") if result is not None else None)


def content_of(uri: object) -> bytes | None:
    r"""The bytes of a base64 data URI of a picture; None of anything else.

    >>> content_of("data:image/png;base64,iVBORw=="), content_of("https://host/a.png"), content_of(None)
    (b'\x89PNG', None, None)
    """
    if not isinstance(uri, str) or not uri.startswith("data:image/"):
        return None
    _, _, content = uri.partition(";base64,")
    try:
        return base64.b64decode(content, validate=True) or None
    except (binascii.Error, ValueError):
        return None
