"""Pieces of pages: what acts and goes without a trace, and what is read and stays. Harmless: what runs only says so."""

from typing import Final

RAN: Final = "MAILWARD-RAN"
_RUN: Final = f"console.log('{RAN}')".encode()
_NOW: Final = f'console.log("{RAN}")'.encode()

ACTIVE: Final = [
    b"<script>" + _RUN + b"</script>",
    b"<SCRIPT type=text/javascript>\r\n" + _RUN + b"\r\n</SCRIPT>",
    b"<script>if (1 < 2) { " + _RUN + b" } /* <p>no text</p> */</script>",
    b"<script src='data:text/javascript," + _RUN.replace(b"'", b"%27") + b"'></script>",
    b"<script><!--\n" + _RUN + b"\n//--></script>",
]
READ: Final = [
    b"<p>Words.</p>",
    b"<p>Rain &amp; snow, 1 &lt; 2</p>",
    b"<a href='https://www.example.com/?on=1'>a link</a>",
    b"<table><tr><td>a</td><td>b</td></tr></table>",
    b"<!-- a comment -->",
    b"<img alt='a picture' src='data:image/gif;base64,R0lGODlhAQABAAAAACw='>",
    b"<p style='color: red'>red</p><style>p { margin: 0 }</style>",
    b"caf\xc3\xa9 ",
    b"<pre>if a > b:\n  c</pre>",
]
# Ways in which a page runs something: each says RAN in a browser that gets it as it is. Click: on what has the id `c`.
RUNS: Final = [
    *ACTIVE,
    b"<img src=x:x onerror=" + _RUN + b">",
    b"<img src=x:x onerror\n=\n" + _RUN + b">",
    b'<img/src="x:x"/onerror=' + _RUN + b">",
    b"<img src=x:x id='a'onerror='" + _NOW + b"'>",
    b'<img src=x:x title=\x0b" onerror=' + _RUN + b' alt="">',
    b"<" + b"a" * 64 + b'x=" tabindex=1 autofocus onfocus=' + _RUN + b">",
    b"<svg onload=" + _RUN + b"></svg>",
    b"<svg/onload=" + _RUN + b">",
    b"<svg><script>" + _RUN + b"</script></svg>",
    b"<svg><script>" + _RUN.replace(b"(", b"&#40;") + b"</script></svg>",
    b"<svg><script href='data:text/javascript," + _RUN.replace(b"'", b"%27") + b"'/></svg>",
    b"<svg><style><img src=x:x onerror=" + _RUN + b"></style></svg>",
    b"<math><style><img src=x:x onerror=" + _RUN + b"></style></math>",
    b"<style><!--</style><img src=x:x onerror=" + _RUN + b">-->",
    b"<!--><img src=x:x onerror=" + _RUN + b">-->",
    b"<!-- --!><img src=x:x onerror=" + _RUN + b">-->",
    b"<![CDATA[><img src=x:x onerror=" + _RUN + b">]]>",
    b"<?x ><img src=x:x onerror=" + _RUN + b">?>",
    b"<title><a title='</title><img src=x:x onerror=" + _RUN + b">'></title>",
    b"<textarea></textarea><img src=x:x onerror=" + _RUN + b">",
    b"<xmp></xmp><img src=x:x onerror=" + _RUN + b">",
    b"<a title='<b' ><img src=x:x onerror=" + _RUN + b"></a>",
    b"<details open ontoggle=" + _RUN + b">a</details>",
    b"<video><source onerror=" + _RUN + b"></video>",
    b"<body onpageshow=" + _RUN + b">",
    b"<input autofocus onfocus=" + _RUN + b">",
    b"<iframe srcdoc='<script>" + _NOW + b"</script>'></iframe>",
    b"<iframe srcdoc='&lt;script&gt;" + _NOW + b"&lt;/script&gt;'></iframe>",
    b"<iframe src='javascript:" + _NOW + b"'></iframe>",
    b"<iframe src='data:text/html,<script>" + _NOW + b"</script>'></iframe>",
    b"<object data='data:text/html,<script>" + _NOW + b"</script>'></object>",
    b"<embed src='data:text/html,<script>" + _NOW + b"</script>'>",
    b"<a id=c href='javascript:" + _NOW + b"'>a</a>",
    b"<a id=c href=' &#1;jav&Tab;ascr\nipt&colon;" + _NOW + b"'>a</a>",
    b"<form action='javascript:" + _NOW + b"'><input type=submit id=c></form>",
    b"<form><button id=c formaction='javascript:" + _NOW + b"'>a</button></form>",
    b"<svg><a xlink:href='javascript:" + _NOW + b"'><text id=c y=20>a</text></a></svg>",
    b"<p id=c onclick='" + _NOW + b"'>a</p>",
]
