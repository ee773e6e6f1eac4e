//! Pictures: looked at, and given an address.

use crate::{
    api::media::{File, Format, PARTS, PictureError, UploadImage, Uploaded},
    sandbox::{
        rules::simulate::Simulate,
        world::{api_error::ApiError, switches::PICTURE_ERRCODE, world::World},
    },
};
use http_body_util::{BodyDataStream, Full};
use hyper::body::Bytes;
use multer::Multipart;

/// The file of a `multipart/form-data` body, by one of the names that the platform takes; `None` where
/// there is none.
pub(crate) async fn file_in(content_type: &str, body: Bytes) -> Option<File> {
    let boundary = multer::parse_boundary(content_type).ok()?;
    let mut parts = Multipart::new(BodyDataStream::new(Full::new(body)), boundary);
    while let Ok(Some(part)) = parts.next_field().await {
        let is_file = part.name().is_some_and(|name| PARTS.contains(&name)) && part.file_name().is_some();
        if is_file {
            let name = part.file_name().unwrap_or_default().to_owned();
            return part.bytes().await.ok().map(|content| File { name, content: content.to_vec() });
        }
    }
    None
}

impl Simulate for UploadImage {
    fn simulate(self, world: &mut World) -> Result<Uploaded, ApiError> {
        let file = File::picture(self.media.content).map_err(|error| {
            let by_switch = || world.switches.number(PICTURE_ERRCODE);
            let switched = if error == PictureError::Format { by_switch() } else { None };
            ApiError::new(switched.unwrap_or(error.errcode()))
        })?;
        let kind = match Format::detect(&file.content) {
            Some(Format::Png) => "mmbiz_png",
            _ => "mmbiz_jpg",
        };
        let url = format!("http://mmbiz.qpic.cn/{kind}/{}/0", world.characters(86));
        Ok(Uploaded { url })
    }
}
