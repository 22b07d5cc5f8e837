import threading

import pytest
from rasterio.env import get_gdal_config

from rs_gen.errors import SettingError
from rs_gen.raster.cache import block_cache


def test_the_cache_is_held_to_its_size_in_every_thread_and_set_free_again():
    before, seen = get_gdal_config("GDAL_CACHEMAX"), []
    assert before > 2**20, "in bytes"
    with block_cache(64):
        thread = threading.Thread(target=lambda: seen.append(get_gdal_config("GDAL_CACHEMAX")))
        thread.start()
        thread.join()
        assert seen == [64 * 2**20] == [get_gdal_config("GDAL_CACHEMAX")]
    assert get_gdal_config("GDAL_CACHEMAX") == before


def test_a_cache_too_small_to_work_with_is_refused():
    with pytest.raises(SettingError, match="megabytes=1 is too little"), block_cache(1):
        pass
