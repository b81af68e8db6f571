"""The example in the operator's guide does what the guide says."""

from importlib.util import module_from_spec, spec_from_file_location

from meterhouse.flows import monitor
from tidy import ROOT


async def test_the_example_of_the_guide_sets_up_a_site(db, clock):
    program = ROOT / "docs" / "guides" / "site_by_program.py"
    spec = spec_from_file_location("site_by_program", program)
    assert spec is not None
    assert spec.loader is not None
    example = module_from_spec(spec)
    spec.loader.exec_module(example)
    project_id = await example.set_up(db, clock())
    board = await monitor.board(db, project_id, None)
    assert len(board.points) == 30
