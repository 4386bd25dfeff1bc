"""What a person reads when Grafana refuses, or is not there; the token is in none of it."""

import ssl

import pytest
import trustme
from grafana_server import EDITOR, NEW, OLD, VIEWER, FakeGrafana, serving

from shopscope_ops.boards._http import Http
from shopscope_ops.engines._probes import free_port

BOARD = "shopscope-journey-pay"


def test_a_wrong_token(run, url, grafana, monkeypatch):
    """It is not shown, and how to get one is said."""
    monkeypatch.setenv("GRAFANA_TOKEN", "glsa_of_yesterday")
    code, output = run("import", "--grafana", url)
    assert (1, {}, False) == (code, grafana.boards, "glsa_of_yesterday" in output)
    assert "HTTP 401: Invalid API key; make a token in Grafana under Administration" in output


def test_a_wrong_token_where_anybody_may_look(run, url, grafana, monkeypatch):
    """Grafana would take us for anybody, and what it then shows would be said to be up to date."""
    grafana.lets_anybody_look = True
    monkeypatch.setenv("GRAFANA_TOKEN", "glsa_of_yesterday")
    code, output = run("import", "--grafana", url)
    assert (1, True) == (code, "cannot sign in: HTTP 401: Invalid API key; make a token" in output)


def test_a_token_that_may_only_look(run, url, grafana, monkeypatch):
    """Grafana's words, and which right is missing."""
    monkeypatch.setenv("GRAFANA_TOKEN", VIEWER)
    code, output = run("import", "--grafana", url)
    assert (1, {}, {}) == (code, grafana.boards, grafana.folders)
    assert "cannot make the folder shopscope: HTTP 403: You'll need additional permissions" in output
    assert "give its service account the role Editor" in output


def test_a_token_in_a_file(run, url, grafana, monkeypatch, team):
    """With the newline that editors leave; it goes before the environment."""
    monkeypatch.setenv("GRAFANA_TOKEN", "wrong")
    (team / "token").write_text(f"{EDITOR}\n", encoding="utf-8")
    assert 0 == run("import", "--grafana", url, "--token-file", team / "token")[0]
    assert BOARD in grafana.boards


@pytest.mark.parametrize(
    ("token", "said"),
    [
        (None, "a token of a service account must be given: none; set GRAFANA_TOKEN, or give --token-file"),
        (" \n", "the token must not be empty"),
        ("glsa_a\nglsa_b", "one word of plain characters: not shown"),
        ("glsa_ä", "one word of plain characters: not shown"),
    ],
)
def test_a_token_that_is_none(run, monkeypatch, token, said):
    """Before anything is sent."""
    monkeypatch.delenv("GRAFANA_TOKEN") if token is None else monkeypatch.setenv("GRAFANA_TOKEN", token)
    code, output = run("import", "--grafana", "http://127.0.0.1:9")
    assert (1, True, False) == (code, said in output, "glsa_" in output)


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("grafana.example.com", "--grafana must be an address: 'grafana.example.com'"),
        ("ftp://grafana.example.com", "--grafana must be an address"),
        ("http://127.0.0.1/?orgId=2", "--grafana must be an address"),
        ("http://admin:hunter2@127.0.0.1", "no user or password in it: '127.0.0.1'; give a token"),
    ],
)
def test_an_address_that_is_none(run, address, said):
    """A password in it is not shown."""
    code, output = run("import", "--grafana", address)
    assert (1, True, False) == (code, said in output, "hunter2" in output)


def test_an_address_of_the_file(run, url, grafana, team):
    """Links in alerts lead there anyway; without it, one has to be given."""
    code, output = run("import")
    assert (1, True) == (code, "set grafana under [shop] in shopscope.toml, or give --grafana" in output)
    path = team / "shopscope.toml"
    path.write_text(f'[shop]\ngrafana = "{url}"\n' + path.read_text(encoding="utf-8"), encoding="utf-8")
    assert (0, True) == (run("import")[0], BOARD in grafana.boards)


@pytest.mark.parametrize("uid", ["", "a/b", "../x", "ä", "x" * 41])
def test_a_folder_that_is_none(run, url, grafana, uid):
    """It would become part of an address."""
    code, output = run("import", "--grafana", url, "--folder", uid)
    assert (1, [], True) == (code, grafana.writes, f"at most 40 letters, digits, - and _: {uid!r}" in output)


@pytest.mark.parametrize(
    ("address", "said"),
    [("http://grafana", True), ("https://grafana", False), ("http://127.0.0.1:3000", False), ("http://[::1]", False)],
)
def test_a_token_that_travels_in_the_open(address, said):
    """It is said; on this machine nobody is on the way."""
    with Http(address, EDITOR) as http:
        assert said == http.is_open_to_all


@pytest.mark.parametrize("document", [{"message": "ok"}, [], {"dashboard": None, "metadata": 1}])
def test_an_answer_of_another_form(run, url, grafana, document):
    """Something answers with JSON in Grafana's place: a sentence, and the next board."""
    served = "v1beta1" if grafana.version.startswith("12.") else "v1"
    path = f"/apis/dashboard.grafana.app/{served}/namespaces/default/dashboards/{BOARD}"
    grafana.answers["GET", path if grafana.is_new else f"/api/dashboards/uid/{BOARD}"] = 200, document
    code, output = run("import", "--grafana", url)
    assert (1, True, True) == (code, "see what answers in its place" in output, "shopscope-slo" in grafana.boards)


def test_nobody_is_there(run):
    """A closed port."""
    code, output = run("import", "--grafana", f"http://127.0.0.1:{free_port()}")
    assert (1, True) == (code, "does not answer: Connection refused; correct --grafana, or start it" in output)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((302, None), "sends on to https://sso.example.com/login; give that address with --grafana"),
        ((200, "<html>Welcome</html>"), "answers with no JSON; is this the address of a Grafana?"),
        ((200, {"status": "up"}), "/api/health is another program's; correct --grafana"),
        ((404, "<html>none</html>"), "HTTP 404; see that --grafana has the whole address, with the path"),
        ((502, "<html>Bad Gateway</html>"), "HTTP 502; look at Grafana's log"),
    ],
)
def test_something_else_is_there(run, url, grafana, answer, said):
    """A proxy, a login page, another program, the wrong path."""
    grafana.answers["GET", "/api/health"] = answer
    code, output = run("import", "--grafana", url)
    assert (1, True) == (code, said in output)


def test_a_path_before_grafana(run):
    """Many serve it under one."""
    grafana = FakeGrafana(NEW, prefix="/monitoring/grafana")
    with serving(grafana) as address:
        assert 0 == run("import", "--grafana", f"{address}/")[0]
        code, output = run("import", "--grafana", address.removesuffix("/monitoring/grafana"))
    assert (1, True) == (code, "with the path that Grafana is served under" in output)


@pytest.mark.parametrize("status", [403, 404])
def test_no_newer_interface(run, status):
    """Grafana 11 and older say so in several ways."""
    grafana = FakeGrafana(OLD)
    grafana.answers["GET", "/apis"] = status, {"message": "none"}
    with serving(grafana) as address:
        code, output = run("import", "--grafana", address)
    assert (0, True) == (code, "Grafana 11.6.0 (/api/dashboards)" in output)


def test_a_version_that_is_not_told(run, url, grafana):
    """Which interface there is does not hang on it."""
    grafana.answers["GET", "/api/health"] = 200, {"database": "ok"}
    code, output = run("import", "--grafana", url)
    assert (0, True, True) == (code, "of an unknown version" in output, BOARD in grafana.boards)


def test_a_title_that_is_taken(run):
    """The older Grafana has each title once in a folder; without --force or with it, the other's board stays."""
    grafana = FakeGrafana(OLD)
    with serving(grafana) as address:
        run("import", "--grafana", address)
        grafana.boards["theirs"] = grafana.boards.pop(BOARD)
        code, output = run("import", "--grafana", address, "--force")
    assert (1, True) == (code, "another board in the folder has this title: rename it in Grafana" in output)
    assert BOARD not in grafana.boards


def test_a_folder_title_that_is_taken(run):
    """Same of folders."""
    grafana = FakeGrafana(OLD)
    grafana.folders["other"] = "shopscope"
    with serving(grafana) as address:
        code, output = run("import", "--grafana", address)
        assert (1, True) == (code, "another folder has this title: give its uid with --folder" in output)
        assert 0 == run("import", "--grafana", address, "--folder", "other")[0]


def test_grafana_refuses_one_board(run, url, grafana):
    """The others are written; the exit code says that one is missing."""
    path = "/apis/dashboard.grafana.app/v1/namespaces/default/dashboards" if grafana.is_new else "/api/dashboards/db"
    path = path.replace("v1", "v1beta1") if grafana.version.startswith("12.") else path
    grafana.answers["GET", f"{path}/{BOARD}" if grafana.is_new else f"/api/dashboards/uid/{BOARD}"] = (
        500,
        {"message": "database is locked"},
    )
    code, output = run("import", "--grafana", url)
    assert (1, False, True) == (code, BOARD in grafana.boards, "shopscope-slo" in grafana.boards)
    assert "HTTP 500: database is locked; look at Grafana's log" in output


def test_an_authority_of_ones_own(run, team):
    """A certificate that the system does not know is refused, and taken with --ca-file."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(team / "ca.pem")
    grafana = FakeGrafana(NEW)
    with serving(grafana, context) as address:
        code, output = run("import", "--grafana", address)
        assert (1, True, {}) == (code, "certificate verify failed" in output.lower(), grafana.boards)
        assert 0 == run("import", "--grafana", address, "--ca-file", team / "ca.pem")[0]
    code, output = run("import", "--grafana", address, "--ca-file", team / "shopscope.toml")
    assert (1, True) == (code, "--ca-file must have certificates in PEM" in output)


def test_a_shop_with_faults(run, url, grafana, team):
    """Nothing is sent."""
    (team / "shopscope.toml").write_text("[journeys.pay]\n", encoding="utf-8")
    code, output = run("import", "--grafana", url)
    assert (1, [], True) == (code, grafana.writes, "journeys.pay.service" in output)
