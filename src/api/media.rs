//! Pictures (图片): uploaded once, then named by their address in cards.

use super::{FieldKind, FieldType, Resend, answer::check_given, endpoint::endpoint, errcode};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A picture is smaller than this (40009).
pub const PICTURE_BYTES: usize = 1 << 20;

/// The names that the platform takes the file's part by: today's manual says `media`, the cards' says
/// `buffer`.
pub const PARTS: [&str; 2] = ["media", "buffer"];

/// Where uploaded pictures live, by the ends of the hosts' names: `mmbiz.qpic.cn` and its like.
pub const PICTURE_HOSTS: [&str; 2] = [".qpic.cn", ".qlogo.cn"];

/// A file on its way to the platform.
///
/// Its name on the wire is always `image.png` or `image.jpg`: the platform garbles names that are not
/// ASCII, and the name of a local file is private.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// ASCII.
    pub name: String,
    /// In Base64 wherever a file is JSON.
    #[serde(serialize_with = "write_content", deserialize_with = "read_content")]
    pub content: Vec<u8>,
}

impl FieldType for File {
    const KIND: FieldKind = FieldKind::File;
}

/// What kind of picture it is, by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `image/png`.
    Png,
    /// `image/jpeg`.
    Jpeg,
}

impl Format {
    /// Looks at the first bytes; a file's ending may say anything.
    #[must_use]
    pub fn detect(content: &[u8]) -> Option<Self> {
        match content {
            [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some(Self::Png),
            [0xff, 0xd8, 0xff, ..] => Some(Self::Jpeg),
            _ => None,
        }
    }

    /// The media type.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
        }
    }
}

/// Why a picture need not be sent: the platform would refuse it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PictureError {
    /// There is nothing in it.
    #[error("it is empty ({})", self.errcode())]
    Empty,
    /// It has [`PICTURE_BYTES`] or more.
    #[error("it is too large: the platform takes pictures under 1 MB ({})", self.errcode())]
    TooLarge,
    /// It is no picture, or one of another format. Today's errcode; which one a GIF gets is not documented.
    #[error("it is neither a PNG nor a JPG ({})", self.errcode())]
    Format,
}

impl PictureError {
    /// The code that the platform answers.
    #[must_use]
    pub const fn errcode(self) -> i64 {
        match self {
            Self::Empty | Self::TooLarge => errcode::INVALID_IMAGE_SIZE,
            Self::Format => errcode::INVALID_IMAGE_FORMAT,
        }
    }
}

impl File {
    /// A picture that the platform takes.
    ///
    /// # Errors
    /// When it is empty, 1 MB or more, or neither PNG nor JPG.
    pub fn picture(content: Vec<u8>) -> Result<Self, PictureError> {
        if content.is_empty() {
            return Err(PictureError::Empty);
        }
        if content.len() >= PICTURE_BYTES {
            return Err(PictureError::TooLarge);
        }
        let name = match Format::detect(&content).ok_or(PictureError::Format)? {
            Format::Png => "image.png",
            Format::Jpeg => "image.jpg",
        };
        Ok(Self { name: name.to_owned(), content })
    }

    /// The media type of its part.
    #[must_use]
    pub fn media_type(&self) -> &'static str {
        Format::detect(&self.content).map_or("application/octet-stream", Format::media_type)
    }
}

fn write_content<S: Serializer>(content: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&STANDARD.encode(content))
}

fn read_content<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(deserializer)?;
    STANDARD.decode(text).map_err(serde::de::Error::custom)
}

/// Where an uploaded picture is.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Uploaded {
    /// For use inside WeChat only.
    pub url: String,
}

fn has_address(_asked: &UploadImage, uploaded: &Uploaded) -> Result<(), String> {
    check_given("url", &uploaded.url)
}

endpoint! {
    /// Uploads a picture and gives its address, for a card's `logo_url` and other pictures.
    ///
    /// PNG or JPG, under 1 MB (40009); the path is relative to the folder that mpscript was started in,
    /// and of those that `openids_from` may read.
    /// The picture does not count against the library's 100,000, and its address works inside WeChat
    /// only.
    /// Source: 上传图文消息内的图片获取URL (uploadImage).
    ///
    /// ```rhai
    /// let logo = media::upload_image("scripts/logo.png");
    /// print(logo.url);
    /// ```
    "media::upload_image" = write UPLOAD "/cgi-bin/media/uploadimg";
    request UploadImage {
        /// The picture.
        media: File,
    }
    answer Uploaded;
    verify has_address;
    attributes {
        resend: Resend::Idempotent,
        errors: &[-1, 40001, 40005, 40009, 40113, 40137, 41005],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn picture_type_is_read_from_its_first_bytes() {
        let png = [b"\x89PNG\r\n\x1a\n".as_slice(), &[0; 8]].concat();
        let file = File::picture(png).unwrap();
        assert_eq!((file.name.as_str(), file.media_type()), ("image.png", "image/png"));
        let file = File::picture(vec![0xff, 0xd8, 0xff, 0xe0]).unwrap();
        assert_eq!((file.name.as_str(), file.media_type()), ("image.jpg", "image/jpeg"));
    }

    #[test]
    fn invalid_picture_is_refused() {
        assert_eq!(File::picture(Vec::new()), Err(PictureError::Empty));
        assert_eq!(File::picture(b"GIF89a".to_vec()), Err(PictureError::Format));
        let mut large = b"\x89PNG\r\n\x1a\n".to_vec();
        large.resize(PICTURE_BYTES - 1, 0);
        assert!(File::picture(large.clone()).is_ok());
        large.push(0);
        assert_eq!(File::picture(large), Err(PictureError::TooLarge));
    }
}
