"""The studio's page, on Gradio, of which this is the only importer.

What is on the page and which button asks the studio for what; nothing is decided here. Nothing is
loaded from a network and nothing is told to one.
"""

import os
from collections.abc import Callable
from typing import Any

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read on import
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import gradio as gr  # noqa: E402

from jukebox_jax.sampling.stages import Field  # noqa: E402
from jukebox_jax.studio import shown  # noqa: E402
from jukebox_jax.studio.studio import SECONDS, Studio  # noqa: E402

_FONTS = ["system-ui", "sans-serif"]
_PLAYING = (
    "(name, seen, touched, _) => [name, seen, touched, "
    "[...document.querySelectorAll('audio')].some((one) => !one.paused)]"
)
"""Whether somebody listens is asked of the page: what is heard is not replaced meanwhile."""


def serve(studio: Studio, host: str, port: int) -> tuple[str, Callable[[], None]]:
    """Opens the studio to browsers.

    Args:
      studio: what is behind the page.
      host: the address to listen at.
      port: and the port; 0 for any that is free.

    Returns:
      The page's address, and what closes it.

    Raises:
      OSError: the port is taken.
    """
    studio.home.mkdir(parents=True, exist_ok=True)
    page = build(studio).queue(default_concurrency_limit=4)
    try:
        _, address, _ = page.launch(
            server_name=host,
            server_port=port or None,
            share=False,
            quiet=True,
            inbrowser=False,
            prevent_thread_lock=True,
            allowed_paths=[str(studio.home.resolve())],
            ssr_mode=False,
            footer_links=[],
            theme=gr.themes.Base(font=_FONTS, font_mono=["ui-monospace", "monospace"]).set(
                block_info_text_color="*neutral_500", body_text_color_subdued="*neutral_500"
            ),
            css=shown.CSS,
        )
    except OSError:
        raise OSError(f"{host}, port {port}: cannot be listened at; give another --port") from None
    return address, page.close


def build(studio: Studio) -> gr.Blocks:
    """The page of a studio."""
    top = studio.stages.top
    have = [level for level, path in enumerate(studio.stages.priors) if path]
    levels = [(_level(level, top), level) for level in have]
    lower = [pair for pair in levels if pair[1] < top] or levels
    with gr.Blocks(title="jukebox_jax studio", analytics_enabled=False) as page:
        seen, playing = gr.State({}), gr.Checkbox(visible=False)
        touched = gr.State("")  # the run of which somebody chose songs
        about = f"<p class='jukebox-quiet'>{shown.heading(studio.stages)}</p>"
        gr.HTML(f"<h1>Studio</h1>{about}", elem_id="heading")
        with gr.Row():
            with gr.Column(scale=2, min_width=320):
                gr.Markdown("## New songs")
                inputs = [_input(field, studio) for field in studio.stages.fields]
                limits = studio.limits
                count = gr.Slider(
                    1, limits.candidates, min(3, limits.candidates), step=1, label="Candidates"
                )
                seconds = gr.Slider(
                    0.1,
                    limits.seconds,
                    min(12.0, limits.seconds),
                    step=0.1,
                    label="Seconds of each",
                )
                temperature = gr.Slider(0.5, 1.2, 0.95, step=0.01, label="Temperature")
                guided = any(studio.stages.guided)
                guidance = gr.Slider(
                    1,
                    6,
                    3 if guided else 1,
                    step=0.5,
                    label="Guidance",
                    info="how closely labels are followed; 1: as trained",
                    visible=guided,
                )
                seed = gr.Number(0, precision=0, minimum=0, label="Seed of the first")
                generate = gr.Button("Generate", variant="primary")
                asked = gr.HTML(elem_id="asked")
            with gr.Column(scale=3, min_width=320):
                gr.Markdown("## Runs")
                chosen = gr.Dropdown([], label="Run", elem_id="run", filterable=False)
                status = gr.HTML(elem_id="status")
                with gr.Row():
                    stop = gr.Button("Stop", interactive=False, min_width=120)
                    go_on = gr.Button("Continue", interactive=False, min_width=120)
                players = gr.HTML(elem_id="players")
                with gr.Group(visible=False) as after:
                    songs = gr.CheckboxGroup([], label="Songs to go on with", elem_id="songs")
                    with gr.Tabs():
                        with gr.Tab("Upsample"):
                            pick_to = gr.Radio(lower, value=lower[0][1], label="Down to")
                            pick = gr.Button("Upsample these", variant="primary")
                        with gr.Tab("A part"):
                            part = _second("start"), _second("end")
                            part_to = gr.Radio(lower, value=lower[0][1], label="Down to")
                            excerpt = gr.Button("Upsample this part", variant="primary")
                        with gr.Tab("Branch"):
                            at = _second("seconds")
                            ways = gr.Slider(
                                1,
                                limits.candidates,
                                min(2, limits.candidates),
                                step=1,
                                label="Ways",
                            )
                            branch_to = gr.Radio(levels, value=levels[-1][1], label="Down to")
                            branch = gr.Button("Branch there", variant="primary")
                        with gr.Tab("Replace"):
                            span = _second("start"), _second("end")
                            replace_to = gr.Radio(levels, value=levels[-1][1], label="Down to")
                            replace = gr.Button("Draw this anew", variant="primary")
                answered = gr.HTML(elem_id="answered")

        starts = [generate, pick, excerpt, branch, replace]
        outputs = [
            chosen,
            status,
            players,
            songs,
            after,
            stop,
            go_on,
            *starts,
            *part,
            at,
            *span,
            seen,
        ]

        def refresh(
            name: str | None, before: dict[str, Any], touched: str, listens: bool = False
        ) -> list[Any]:
            return _refresh(studio, name, before, touched, listens=listens)

        def asking(ask: Callable[..., str | None]) -> Callable[..., list[Any]]:
            """What the page shows after something was asked for."""

            def answer(
                name: str | None, before: dict[str, Any], touched: str, *values: Any
            ) -> list[Any]:
                made, said = None, ""
                try:
                    made = ask(name or "", *values)
                except (ValueError, OSError) as error:
                    said = shown.wrong(str(error))
                return [*_refresh(studio, made or name, before, touched, made=bool(made)), said]

            return answer

        def on_ask(_: str, count: int, seconds: float, *values: Any) -> str:
            temperature, guidance, seed, *filled = values
            names = [field.name for field in studio.stages.fields]
            return studio.ask(
                dict(zip(names, filled, strict=True)),
                count=int(count),
                seconds=float(seconds),
                temperature=float(temperature),
                guidance=float(guidance),
                seed=int(seed or 0),
            )

        def on_pick(name: str, songs: list[int], level: int) -> str:
            return studio.derive(name, "pick", songs, down_to=level)

        def on_part(name: str, songs: list[int], level: int, start: float, end: float) -> str:
            return studio.derive(name, "excerpt", songs, down_to=level, start=start, end=end)

        def on_branch(name: str, songs: list[int], level: int, at: float, ways: int) -> str:
            return studio.derive(name, "branch", songs, down_to=level, seconds=at, count=int(ways))

        def on_replace(name: str, songs: list[int], level: int, start: float, end: float) -> str:
            return studio.derive(name, "replace", songs, down_to=level, start=start, end=end)

        def on_go_on(name: str) -> None:
            studio.go_on(name)

        def on_stop(_: str) -> None:
            studio.desk.stop()

        looks = [chosen, seen, touched]
        quiet: dict[str, Any] = dict(show_progress="hidden", api_visibility="private")
        for button, ask, given, message in (
            (generate, on_ask, [count, seconds, temperature, guidance, seed, *inputs], asked),
            (pick, on_pick, [songs, pick_to], answered),
            (excerpt, on_part, [songs, part_to, *part], answered),
            (branch, on_branch, [songs, branch_to, at, ways], answered),
            (replace, on_replace, [songs, replace_to, *span], answered),
            (go_on, on_go_on, [], answered),
            (stop, on_stop, [], answered),
        ):
            button.click(asking(ask), [*looks, *given], [*outputs, message], **quiet)
        songs.input(lambda name: name, [chosen], [touched], **quiet)
        chosen.input(refresh, looks, outputs, **quiet)
        page.load(refresh, looks, outputs, **quiet)
        gr.Timer(1.0).tick(refresh, [*looks, playing], outputs, js=_PLAYING, **quiet)
    return page


def _refresh(
    studio: Studio,
    name: str | None,
    before: dict[str, Any],
    touched: str = "",
    *,
    listens: bool = False,
    made: bool = False,
) -> list[Any]:
    """What is to be seen now; what has not changed is left as it is.

    Args:
      studio: what is behind the page.
      name: of the run that is looked at.
      before: what was seen before.
      touched: the run of which somebody chose songs, whose choice is left as it is.
      listens: whether somebody listens, who is not to be disturbed.
      made: whether the run was just made, and the page does not look at it yet.
    """
    now = shown.view(studio, name)
    made = made or now["name"] != name
    if listens and before.get("name") == now["name"]:
        now["players"] = before["players"]

    def update(key: str, **change: Any) -> Any:
        same = key in before and before[key] == now[key] and not (made and key == "choices")
        return gr.skip() if same else gr.update(**change)

    songs, times = now["songs"], now["times"]
    if before.get("songs") == songs and touched == now["name"]:
        now["first"] = before["first"]
    choice = {"choices": songs[1], "value": now["first"]}  # the best, as soon as it is known
    alike = all(before.get(key) == now[key] for key in ("songs", "first"))
    return [
        # What was chosen meanwhile stays chosen, unless there is a reason to look elsewhere.
        update("choices", choices=now["choices"], **({"value": now["name"]} if made else {})),
        update("status", value=now["status"]),
        update("players", value=now["players"]),
        gr.skip() if alike else gr.update(**choice),
        update("usable", visible=now["usable"]),
        update("stop", interactive=now["stop"]),
        update("go_on", interactive=now["go_on"]),
        *[update("busy", interactive=not now["busy"]) for _ in range(5)],  # what begins something
        *[update("times", value=time) for time in times[1:]],
        now,
    ]


def _level(level: int, top: int) -> str:
    word = ", finest" if level == 0 else ", coarsest" if level == top else ""
    return f"level {level}{word}"


def _second(argument: str) -> gr.Number:
    return gr.Number(0.0, minimum=0, step=0.1, label=SECONDS[argument], min_width=120)


def _input(field: Field, studio: Studio) -> Any:
    """The part of the form that asks for a field."""
    label = field.name.replace("_", " ").capitalize()
    if field.kind == "names":
        none = [] if field.needed else [("none", "")]
        several = field.most > 1
        return gr.Dropdown(
            [*none, *[(name, name) for name in field.choices]],
            value=([field.choices[0]] if several else field.choices[0]) if field.needed else None,
            multiselect=several,
            max_choices=field.most if several else None,
            label=label,
            elem_id=f"field-{field.name}",
        )
    if field.kind == "number":
        low, high = field.low or 0.0, field.high or 600.0
        return gr.Number(
            min(max(low, studio.limits.seconds), high),
            label="Seconds of the whole song",
            info=f"{low:g} to {high:g}; a recording is the beginning of it",
            elem_id=f"field-{field.name}",
        )
    if field.kind == "text":
        return gr.Textbox(
            label=label,
            lines=5,
            max_lines=12,
            elem_id=f"field-{field.name}",
            info="text, LRC or SRT; without times it is spread over the whole song",
        )
    if field.kind == "beats":
        return gr.Textbox(
            label=label,
            info='a tempo as 120, {"tempo": 120, "metre": 4}, or the seconds of beats',
            elem_id=f"field-{field.name}",
        )
    if field.choices:
        return gr.Dropdown(
            list(field.choices),
            value=field.choices[0],
            allow_custom_value=True,
            label=label,
            info="a name, or what changes during the song as [[second, name], ...]",
            elem_id=f"field-{field.name}",
        )
    between = "" if field.low is None else f" from {field.low:g} to {field.high:g}"
    return gr.Textbox(
        label=label,
        info=f"one value, or [[second, value], ...]{between}",
        value="" if field.low is None else f"{(field.low + (field.high or field.low)) / 2:g}",
        elem_id=f"field-{field.name}",
    )
